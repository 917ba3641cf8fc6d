"""Every limit of the merge by name.

What: bounds on what one merge partition holds, each with the counter that says how often it was met, and how often
rollups are repeated. Why: a silent source partition holds panes open for as long as it is silent, and a replay may bring
a day at once; neither may take the worker down. It refuses to hold time bounds: those are in `limits.Lateness`.
"""

from __future__ import annotations

import dataclasses
from typing import Final

MAX_MERGE_SERIES: Final = 1_000_000  # definitions kept; rows of further series: counter "refused_series"
MAX_GROUPS: Final = 262_144  # SLO groups kept; rows of further groups: counter "refused_groups"
MAX_PANES: Final = 8_640  # of one kind, a day; the oldest are then closed early: counter "forced_final"
MAX_WINDOWS: Final = 4_096  # coarse windows of one kind; the oldest final ones are then dropped: "dropped_windows"
MAX_ARCHIVE_BYTES: Final = 512 << 20  # compressed panes; the oldest final ones are then dropped: "dropped_archives"
MAX_OPEN_ROWS: Final = 2_000_000  # rows of open panes kept unfolded; further ones are compressed: "folded_early"

EMIT_EVERY_MS: Final = (
    2_000  # a pane's provisional rows, and its corrections, leave at most this often (partials' clock)
)
LOOSE_SHARE: Final = 8  # late rows are folded into a block when they are an eighth of its rows ...
LOOSE_ROWS: Final = 4_096  # ... or at least this many, whichever is more
DENSE_ROWS: Final = 16_384  # blocks of more rows are added by place, not by sorting
SERIES_LEAST: Final = 65_536  # definitions are not looked through for old ones below this
WARM_PANES: Final = 16  # SLO cells of so many panes are kept unfolded


@dataclasses.dataclass(frozen=True, slots=True)
class MergeLimits:
    """Bounds on the state of one merge partition. The defaults are the constants above."""

    max_series: int = MAX_MERGE_SERIES
    max_groups: int = MAX_GROUPS
    max_panes: int = MAX_PANES
    max_windows: int = MAX_WINDOWS
    max_archive_bytes: int = MAX_ARCHIVE_BYTES
    max_open_rows: int = MAX_OPEN_ROWS
    emit_every_ms: int = EMIT_EVERY_MS
