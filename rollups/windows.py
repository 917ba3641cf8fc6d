"""Windows of one kind of source and one length, from open to archived.

What: a window is open (its cells still come), then final, then, compressed, archived until the late horizon. What comes to
a final window is a correction: the block is unfolded, changed, and folded again. Why one class: panes and coarse
windows live the same life and differ only in what feeds them. It refuses to know where rows come from.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rollups.combine import combine
from rollups.latest import rows_of
from rollups.packing import compress, decompress
from schemas.cells import FLAG_CORRECTION, FLAG_FINAL, Cells

SeriesIds = NDArray[np.uint64]
_NONE = np.zeros(0, np.uint64)


def fold(cells: Cells) -> bytes:
    """A block of cells, compressed."""
    columns = cells.columns()
    sizes = np.array([len(data) for data in columns.values()], "<i8").tobytes()
    return compress(sizes + b"".join(columns.values()))


def unfold(data: bytes) -> Cells:
    """Inverse of `fold`."""
    whole = decompress(data)
    names = list(Cells.empty().columns())
    sizes = np.frombuffer(whole[: 8 * len(names)], "<i8")
    ends = np.cumsum(sizes) + 8 * len(names)
    return Cells.from_columns(
        {name: whole[end - size : end] for name, size, end in zip(names, sizes, ends, strict=True)}
    )


@dataclasses.dataclass(slots=True)
class Window:
    """One window. `open` holds blocks to be added up, or `folded` the archived sum."""

    start_ms: int
    blocks: list[Cells]
    folded: bytes = b""
    final: bool = False
    changed: SeriesIds = dataclasses.field(default_factory=lambda: _NONE)  # since the last emission
    batches: int = 0  # emitted so far
    emitted_final: bool = False

    def add(self, cells: Cells) -> None:
        """Rows to be added to the window's cells."""
        if not len(cells):
            return
        if self.final:
            self.folded = fold(combine(Cells.concatenate([unfold(self.folded), cells])))
            self.changed = np.union1d(self.changed, cells.series)
        else:
            self.blocks.append(cells)

    def close(self) -> None:
        """The last of it has come."""
        merged = combine(Cells.concatenate(self.blocks))
        self.blocks, self.folded, self.final = [], fold(merged), True
        self.changed = np.array(merged.series)

    def emission(self, as_of: int) -> Cells:
        """Rows that changed since the last emission, in their full current value."""
        cells = unfold(self.folded)
        rows = cells if len(self.changed) == len(cells) else rows_of(cells, self.changed)
        flags = FLAG_FINAL | (FLAG_CORRECTION if self.emitted_final else 0)
        self.changed, self.emitted_final = _NONE, True
        return stamped(rows, flags, as_of, self.batches)


def stamped(rows: Cells, flags: int, as_of: int, revision: int) -> Cells:
    """Rows as they leave: true as of an offset of the partials; the highest offset is the truth."""
    return dataclasses.replace(
        rows,
        flags=np.full(len(rows), flags, np.uint8),
        offset=np.full(len(rows), as_of, np.int64),
        revision=np.full(len(rows), revision, np.int32),
    )
