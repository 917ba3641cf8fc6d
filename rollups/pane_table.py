"""Panes of all source partitions at the merge: each one's newest rows, until all of them have passed.

What: a pane holds, per source partition, the rows that are true as of the highest offset. When the watermarks of all
source partitions have passed its end and grace, it is final: its merged rows leave and feed the coarse windows, and
the rows of the source partitions are folded, so that a late row can still correct them exactly. Why late rows lie loose
beside a folded block: a few of them must not cost an unfolding of all. It refuses to know kinds, clocks and horizons.
All cells here are plain.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from rollups.addition import added
from rollups.folding import fold, unfold
from rollups.latest import NONE, Series, difference, fresh, resolve, rows_of
from rollups.limits import NEVER
from rollups.merge_limits import LOOSE_ROWS, LOOSE_SHARE
from rollups.plain import NO_CELLS
from schemas.cells import FLAG_LATE, Cells


@dataclasses.dataclass(slots=True)
class Share:
    """One source partition's rows of a pane: open (`rows`) or folded, then with `loose` late rows to be added."""

    rows: Cells = NO_CELLS
    folded: bytes = b""
    size: int = 0  # rows that are folded
    newest: int = -1  # highest offset of those
    loose: Cells = NO_CELLS
    held: int = 0  # measurements in all of them

    def current(self) -> Cells:
        """All rows, full values."""
        if not self.folded:
            return self.rows
        rows = unfold(self.folded)
        return added([rows, self.loose]) if len(self.loose) else rows

    def fold(self) -> None:
        """From open to folded, or loose rows into the block."""
        rows = self.current()
        self.folded, self.size, self.newest = fold(rows), len(rows), int(rows.offset.max(initial=-1))
        self.rows = self.loose = NO_CELLS

    def open(self) -> None:
        """From folded to open."""
        self.rows, self.folded, self.loose = self.current(), b"", NO_CELLS

    def replace(self, block: Cells) -> Series:
        """Take a block into open rows. Answers the series that changed."""
        if self.folded:
            self.open()
        self.rows, changed = resolve(self.rows, block)
        self.held = int(self.rows.count.sum())
        return changed

    def correct(self, block: Cells) -> Cells:
        """Take a block into folded rows. Answers what is to be added to whoever counted the old ones."""
        if self._only_newer_late(block):
            gained = fresh(self.loose, block)
            self.loose = added([self.loose, gained])
        else:
            before = self.current()
            after, changed = resolve(before, block)
            if not len(changed):
                return NO_CELLS
            gained = difference(rows_of(after, changed), rows_of(before, changed))
            self.folded, self.size = fold(after), len(after)
            self.newest, self.loose = int(after.offset.max()), NO_CELLS
        self.held += int(gained.count.sum())
        if len(self.loose) > max(LOOSE_ROWS, self.size // LOOSE_SHARE):
            self.fold()
        return gained

    def _only_newer_late(self, block: Cells) -> bool:
        """Late rows above every folded row: what is folded cannot hold them, and need not be looked at.

        A loose row of a series that has a folded row too carries the higher offset of the two.
        """
        return bool((block.flags & FLAG_LATE).all()) and int(block.offset.min()) > self.newest


@dataclasses.dataclass(slots=True)
class MergePane:
    """One pane of one kind of source."""

    start_ms: int
    shares: dict[int, Share] = dataclasses.field(default_factory=dict)  # by source partition
    final: bool = False
    revision: int = 0  # how often it changed: a function of the partials log, whenever it is drained
    batches: int = 0  # emitted so far
    emitted_ms: int = NEVER  # when rows last left, or the first came, on the partials' clock
    whole: bool = False  # final since the last emission: all rows are due
    merged: Cells | None = None  # what `whole` will emit, unless it changed since
    changed: list[Series] = dataclasses.field(default_factory=list)  # since the last emission

    @property
    def due(self) -> bool:
        """Something has to leave."""
        return self.whole or bool(self.changed)

    @property
    def held(self) -> int:
        """Measurements of all source partitions."""
        return sum(share.held for share in self.shares.values())

    def apply(self, source: int, block: Cells) -> Cells:
        """Take rows of one source partition. Answers what a final pane gained, for the coarse windows."""
        share = self.shares.setdefault(source, Share())
        if self.final:
            if not share.folded:
                share.fold()
            gained = share.correct(block)
            changed = gained.series
            self.merged = None if len(changed) else self.merged
        else:
            gained, changed = NO_CELLS, share.replace(block)
        if len(changed):
            self.revision += 1
            self.changed.append(changed)
        return gained

    def rows(self, series: Series | None = None) -> Cells:
        """Merged over all source partitions: the named series, or all."""
        blocks = []
        for _, share in sorted(self.shares.items()):
            if series is None or not share.folded:
                blocks.append(share.current())
            else:  # without adding up all loose rows first
                blocks += [unfold(share.folded), share.loose]
        if series is not None:
            blocks = [rows_of(block, series) for block in blocks]
        return added(blocks)

    def close(self) -> Cells:
        """All source partitions have passed. Answers the merged rows."""
        self.merged = self.rows()
        self.fold()
        self.final = self.whole = True
        self.revision += 1
        self.changed = []
        return self.merged

    def emission(self) -> tuple[Cells, Series]:
        """(rows to emit, which of their series changed after the pane was final)."""
        changed = np.unique(np.concatenate(self.changed)) if len(self.changed) > 1 else (self.changed or [NONE])[0]
        rows = self.merged if self.whole else self.rows(changed)
        rows = self.rows() if rows is None else rows
        corrected = changed if self.final else NONE
        self.changed, self.merged, self.whole = [], None, False
        return rows, corrected

    def fold(self) -> None:
        """Compress an open pane; what comes to it opens it again."""
        for share in self.shares.values():
            if not share.folded:
                share.fold()

    def open_rows(self) -> int:
        """Rows that are not folded."""
        return sum(len(share.rows) for share in self.shares.values())

    def bytes(self) -> int:
        """Memory of the folded blocks."""
        return sum(len(share.folded) for share in self.shares.values())
