"""Writers: what partials say of those who write them: how far behind a newer one, and how wrong their clocks.

What: of each source partition and target the newest offset that rows were true as of, and how far the newest writer's clock
was from the log's. Why: a zombie's late writes, and a clock that was set, are effects that a fault must have had, and the
log has them. It refuses a judgement: whoever brought the fault about knows what it must show.
"""

from __future__ import annotations


class Writers:
    """`stale`: records that reached the log behind others that were true as of a later offset; replays make some too."""

    def __init__(self) -> None:
        self.stale = 0
        self._newest: dict[tuple[int, int], int] = {}  # (source partition, target) -> as of
        self._ahead_s: dict[int, float] = {}  # by source partition

    def wrote(self, source: int, target: int, as_of: int, now_ms: int, appended_ms: int) -> None:
        """Take in the head of one record, in the order of its partition. `now_ms`: by its writer's clock."""
        newest = self._newest.get((source, target), as_of)
        self.stale += as_of < newest
        self._newest[source, target] = max(newest, as_of)
        self._ahead_s[source] = (now_ms - appended_ms) / 1000

    def ahead_s(self, source: int) -> float:
        """How far the clock of the one who aggregates a source partition was ahead of the log's, at its last word."""
        return self._ahead_s.get(source, 0.0)
