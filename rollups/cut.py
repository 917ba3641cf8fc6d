"""Cutting cells into pieces that fit one message.

What: `pieces` cuts a block, in order, so that no piece is larger than a bound; a row is never cut. Rows of a partial may
come in any number of records: all but the last are `silent` about time, which moves when all rows have come. Why: 100,000 series
that close at once are tens of megabytes, and a broker takes eight. It refuses to reorder: whoever needs the last piece
to come last may rely on it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from rollups.limits import MAX_PIECE_BYTES, NEVER
from rollups.plain import selected
from schemas.cells import EXEMPLAR_COLUMNS, HISTOGRAM_COLUMNS, ROW_COLUMNS, Cells
from schemas.records import PartialBatch

_ROW = sum(dtype.itemsize for dtype in ROW_COLUMNS.values()) + 4  # and the end of its definition
_BUCKET = sum(dtype.itemsize for dtype in HISTOGRAM_COLUMNS.values())
_EXEMPLAR = sum(dtype.itemsize for dtype in EXEMPLAR_COLUMNS.values())


def pieces(cells: Cells, most: int = MAX_PIECE_BYTES) -> list[Cells]:
    """The rows in order, in blocks of at most `most` bytes, or of one row; one block at least."""
    rows = len(cells)
    size = np.full(rows, _ROW, np.int64) + np.diff(cells.definition_end, prepend=np.int32(0))
    size += _BUCKET * np.bincount(cells.hist_row, minlength=rows) + _EXEMPLAR * np.bincount(
        cells.exemplar_row, minlength=rows
    )
    end = np.cumsum(size)
    if not rows or int(end[-1]) <= most:
        return [cells]
    out, first = [], 0
    while first < rows:
        before = int(end[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(end, before + most, side="right")))
        out.append(selected(cells, np.arange(first, last)))
        first = last
    return out


def silent(batch: PartialBatch, cells: Cells) -> PartialBatch:
    """These rows, saying nothing about time, nor about what is still to come."""
    unheard = (NEVER,) * len(batch.watermarks)
    return dataclasses.replace(batch, cells=cells, watermarks=unheard, max_event_ms=unheard, now_ms=NEVER, claims=())


def in_pieces(batch: PartialBatch) -> list[PartialBatch]:
    """A batch in messages that the broker takes; the last one alone moves time."""
    *earlier, last = pieces(batch.cells)
    return [*(silent(batch, cells) for cells in earlier), dataclasses.replace(batch, cells=last)]
