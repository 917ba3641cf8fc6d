"""Every limit of the rollups room by name.

What: sizes, spans and bounds; the numbers that keep state finite whatever arrives. Why: a limit without a name is
found by the first outage. It refuses to hold settings: what an operator may change is in `Lateness` and `Limits`.
"""

from __future__ import annotations

import dataclasses
from typing import Final

PANE_MS: Final = 10_000
COARSE_WINDOWS_MS: Final = (60_000, 300_000, 3_600_000)
SOURCE_KINDS: Final = 4  # web, desktop, vehicle, other: the order is the wire index

#: "no time yet": below every event time, and far enough from the edge of int64 that bounds can be subtracted from it.
NEVER: Final = -(2**62)

MAX_PIECE_BYTES: Final = 4 << 20  # of cells in one message; topics take 8 MiB

SUM_FRACTION_BITS: Final = 40  # sums resolve 2**-40
MAX_ABS_VALUE: Final = 2.0**43  # the decoder refuses what is not below this
FIXED_POINT: Final = 1 << 20  # good and total are in units of 2**-20

HISTOGRAM_SCALE: Final = 3
MAX_HISTOGRAM_SCALE: Final = 8
HISTOGRAM_LOW_EXPONENT: Final = 40  # |value| <= 2**-40 is zero to a histogram: the resolution of the sums
HISTOGRAM_HIGH_EXPONENT: Final = 43

MAX_SERIES: Final = 1_000_000  # of one source partition, all kinds together; more go to the overflow series
MAX_OVERFLOW_SERIES: Final = 4_096  # one for each metric, kind and unit; more go to one a kind
MAX_PRODUCERS: Final = 262_144  # (source, boot) pairs remembered by dedupe in one partition
PRODUCER_MEMORY_MS: Final = 24 * 3_600_000  # a producer silent for longer (broker time) is forgotten
MAX_GAPS: Final = 64  # holes remembered in one producer's sequence
IDLE_SERIES_MS: Final = 3_600_000  # a series untouched for longer (broker time) may be evicted
PENDING_HISTOGRAM_ROWS: Final = 1 << 19  # rows kept unsorted in a pane before they are consolidated
ROWS_A_SLOT: Final = 4  # rows for each slot in a pane that pay for dense histogram windows
ROWS_A_SLOT_SLOW: Final = 32  # the same for slow kinds, which keep dozens of panes open
PENDING_EXEMPLAR_ROWS: Final = 1 << 14
MAX_OPEN_PANES: Final = 96  # more are looked through for due ones before a drain: replays of long silences
LOCAL_SLOTS: Final = 8_192  # more slots than this leave the first-level cache: rows are put in order first
MAX_ROWS_BETWEEN_CARRIES: Final = 1 << 22  # (2**22 + 1) halves of 2**40 stay far inside int64

IDLE_AFTER_MS: Final = 2_000  # a kind is idle when nothing of it came for this long
IDLE_SLACK_MS: Final = 5_000  # idle time that a source partition may claim beyond what passed in the log
HEARTBEAT_MS: Final = 1_000  # each target hears from each source partition at least this often
PROVISIONAL_EVERY_MS: Final = 10_000
CLAIM_REPEATS_MS: Final = 3_000  # what a closed pane holds is said again with each batch for so long
MAX_CLAIMS: Final = 2_048  # in a batch: after a restart all panes within the late horizon are spoken of
MAX_OWING: Final = 4_096  # panes of which claims and rows differ; more are not told apart
SLOW_LATENESS_MS: Final = 10_000  # kinds that wait longer than this get provisional rows


@dataclasses.dataclass(frozen=True, slots=True)
class Lateness:
    """Time bounds by kind of source, in ms, index = SourceKind. Settings of the shell; defaults of the design."""

    lateness_ms: tuple[int, int, int, int] = (5_000, 5_000, 300_000, 30_000)
    horizon_ms: tuple[int, int, int, int] = (120_000, 120_000, 3_600_000, 120_000)
    grace_ms: int = 2_000
    future_ms: int = 60_000
    skew_ahead_ms: int = 5_000  # a source's clock that is further ahead of the broker's is corrected; 0: never
    skew_behind_ms: int = 300_000  # the same behind; above what a record may be on its way, see decision 19


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the state of one source partition. Settings of the shell; the defaults are the constants above."""

    max_series: int = MAX_SERIES
    max_producers: int = MAX_PRODUCERS
    producer_memory_ms: int = PRODUCER_MEMORY_MS
    max_gaps: int = MAX_GAPS
    idle_series_ms: int = IDLE_SERIES_MS
    histogram_scale: int = HISTOGRAM_SCALE
