"""Panes of all source partitions at the merge: each one's newest rows, until all of them have passed.

What: a pane holds, per source partition, the rows that are true as of the highest offset. When the watermarks of all
source partitions have passed its end and grace, it is final: its merged rows leave and feed the coarse windows, and
the rows of the source partitions are archived, compressed, so that a late row can still correct them exactly.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rollups.combine import combine
from rollups.latest import difference, resolve, rows_of, without_flags
from rollups.windows import fold, unfold
from schemas.cells import Cells


@dataclasses.dataclass(slots=True)
class MergePane:
    """One pane of one kind of source."""

    start_ms: int
    by_source: dict[int, Cells] = dataclasses.field(default_factory=dict)
    folded: dict[int, bytes] = dataclasses.field(default_factory=dict)  # by source, once final
    final: bool = False
    changed: NDArray[np.uint64] = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint64))
    batches: int = 0
    emitted_final: bool = False

    def apply(self, source: int, rows: Cells) -> Cells:
        """Take rows of one source partition. Answers what a final pane gained, for the coarse windows."""
        if not self.final:
            self.by_source[source], changed = resolve(self.by_source.get(source, Cells.empty()), rows)
            self.changed = np.union1d(self.changed, changed)
            return Cells.empty()
        known = unfold(self.folded[source]) if source in self.folded else Cells.empty()
        now, changed = resolve(known, rows)
        if not len(changed):
            return Cells.empty()
        self.folded[source] = fold(now)
        self.changed = np.union1d(self.changed, changed)
        return difference(rows_of(now, changed), rows_of(known, changed))

    def merged(self, series: NDArray[np.uint64] | None = None) -> Cells:
        """Rows over all source partitions, of the named series or of all."""
        blocks = [unfold(data) for data in self.folded.values()] if self.final else list(self.by_source.values())
        if series is not None:
            blocks = [rows_of(block, series) for block in blocks]
        return combine(without_flags(Cells.concatenate(blocks)))

    def close(self) -> Cells:
        """All source partitions have passed. Answers the merged rows."""
        merged = self.merged()
        self.folded = {source: fold(cells) for source, cells in sorted(self.by_source.items())}
        self.by_source, self.final = {}, True
        self.changed = np.array(merged.series)
        return merged
