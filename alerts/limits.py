"""Every bound of the alerts room, in one place.

What: numbers with units in their names. Why: a bound that has no name cannot be tested or raised on purpose.
It refuses to decide what happens at a bound; the module that meets it counts what it drops or names the problem.
"""

from __future__ import annotations

import dataclasses

PANE_MS = 10_000
FIXED_ONE = 1 << 20  # good and total are counted in units of 2**-20
KINDS = 4  # web, desktop, vehicle, other
ANY_KIND = 4  # index of "the newest of all kinds" beside the four

#: Lowering waits for the source partitions that feed a group (decision 12).
LEVEL_MS = 2_000  # a source partition that is behind the newest event time by no more than this is level with it
HOLD_MS = 300_000  # log time that a lowering waits at most; event time back to which windows can be judged again
HELD_ROWS = 256  # groups judged again at once, each over all its buckets

#: Configuration files.
FILE_BYTES_MAX = 1 << 20
FILES_MAX = 1_000
YAML_NODES_MAX = 50_000  # after aliases are counted as often as they are used
YAML_DEPTH_MAX = 40
PROBLEMS_MAX = 200
SLOS_MAX = 2_000
OBJECTIVES_MAX = 8
TIERS_MAX = 8
GROUP_BY_MAX = 8
MATCHERS_MAX = 16
NAME_CHARS_MAX = 63
REGEX_CHARS_MAX = 256
TEXT_CHARS_MAX = 4_096
PERIOD_MS_MIN = 3_600_000
PERIOD_MS_MAX = 92 * 86_400_000
ROUTES_MAX = 500
RECEIVERS_MAX = 100
CHANNELS_MAX = 16

#: Length of texts in records.
SUMMARY_CHARS_MAX = 1_024
DETAIL_CHARS_MAX = 2_048
EXEMPLARS_MAX = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of live state, per partition. A group past a bound is dropped and counted, never silent."""

    groups: int = 20_000
    history_bytes: int = 128 << 20  # all rings of all groups; 30 d with the default policy takes 25 kB a group
    status_every_ms: int = 5_000  # event time between two status records of a group that did not change
    open_incidents: int = 5_000
    alerts_in_incident: int = 500  # with all that is told of them
    alerts_counted: int = 50_000  # more in the same incident, of which only the severity is kept
    seen_transitions: int = 65_536
    closed_alerts: int = 65_536  # of incidents that a person resolved: they open none as long as they do not rise


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """How far behind each kind of source may be, in ms; index = source kind (web, desktop, vehicle, other)."""

    lateness_ms: tuple[int, int, int, int] = (5_000, 5_000, 300_000, 30_000)

    def freshness_ms(self, kind: int, slack_ms: int) -> int:
        """Age of a group's newest data at which it counts as unmeasured, in ms: lateness of its kind plus slack."""
        lateness = max(self.lateness_ms) if kind == ANY_KIND else self.lateness_ms[kind]
        return lateness + slack_ms
