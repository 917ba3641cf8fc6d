"""Plain cells: the form in which the merge holds rows.

What: `series` holds numbers (`definitions`), ascending; no definitions, flags or revisions; side columns ordered by row.
Here are the ways to make them (`plain`, `selected`, `by_pane`) and to pick rows. Why: what is in order need not be
sorted again, and moving definitions costs more than all other columns together. It refuses to add rows up: that is
`combine`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rollups.emission import part
from schemas.cells import ALL_COLUMNS, EXEMPLAR_COLUMNS, HISTOGRAM_COLUMNS, ROW_COLUMNS, Cells, Column

Rows = NDArray[np.int64]
SIDES = ((HISTOGRAM_COLUMNS, "hist_row"), (EXEMPLAR_COLUMNS, "exemplar_row"))
NO_CELLS = Cells.empty()
_NO_BYTES = np.zeros(0, np.uint8)


def picked(cells: Cells, rows: Rows) -> Cells:
    """The named rows, each at most once, in that order; side columns follow. Of plain cells."""
    out: dict[str, Column] = {name: getattr(cells, name)[rows] for name in ROW_COLUMNS}
    for family, pointer in SIDES:
        size = np.bincount(getattr(cells, pointer), minlength=len(cells))
        start = (np.cumsum(size) - size)[rows]
        size = size[rows]
        ends = np.cumsum(size)
        row = np.repeat(np.arange(len(rows), dtype=np.int32), size)
        place = np.arange(len(row)) + (start - (ends - size))[row]
        out |= {name: getattr(cells, name)[place] for name in family}
        out[pointer] = row
    out["definition_end"], out["definition_bytes"] = np.zeros(len(rows), np.int32), _NO_BYTES
    return Cells(**out)  # type: ignore[arg-type]


def selected(cells: Cells, rows: Rows) -> Cells:
    """The named rows (ascending) of any cells. Neighbours are views: the aggregate puts SLO rows after all others."""
    if len(rows) == len(cells):
        return cells
    beside = len(rows) and int(rows[-1]) - int(rows[0]) + 1 == len(rows) and side_columns_ordered(cells)
    return part(cells, int(rows[0]), int(rows[-1]) + 1) if beside else cells.take(rows)


def side_columns_ordered(cells: Cells) -> bool:
    """Histograms and exemplars are in order of row."""
    return all(bool(np.all(rows[1:] >= rows[:-1])) for rows in (cells.hist_row, cells.exemplar_row))


def plain(cells: Cells, number: Rows) -> Cells:
    """The same rows as plain cells, but for flags and order."""
    columns: dict[str, Column] = {name: getattr(cells, name) for name in ALL_COLUMNS}
    columns["series"] = number.astype(np.uint64)
    columns["revision"] = np.zeros(len(cells), np.int32)
    columns["definition_end"], columns["definition_bytes"] = np.zeros(len(cells), np.int32), _NO_BYTES
    if not side_columns_ordered(cells):
        for family, pointer in SIDES:
            order = np.argsort(columns[pointer], kind="stable")
            columns |= {name: columns[name][order] for name in family}
    return Cells(**columns)  # type: ignore[arg-type]


def by_pane(cells: Cells, kinds: NDArray[np.uint8]) -> list[tuple[int, int, Cells]]:
    """(kind, pane start, rows ordered by series and offset) for each pane that the cells touch. `kinds` by number."""
    if not len(cells):
        return []
    kind = kinds[cells.series.astype(np.int64)]
    alone = int(kind.min()) == int(kind.max()) and int(cells.pane_ms.min()) == int(cells.pane_ms.max())
    if alone and bool(np.all(cells.series[1:] > cells.series[:-1])):
        return [(int(kind[0]), int(cells.pane_ms[0]), cells)]
    order = np.lexsort((cells.offset, cells.series, cells.pane_ms, kind))
    cells, kind = picked(cells, order), kind[order]
    if alone:
        return [(int(kind[0]), int(cells.pane_ms[0]), cells)]
    new = (kind[1:] != kind[:-1]) | (cells.pane_ms[1:] != cells.pane_ms[:-1])
    bounds = pairwise([0, *(np.flatnonzero(new) + 1).tolist(), len(cells)])
    return [(int(kind[low]), int(cells.pane_ms[low]), part(cells, low, high)) for low, high in bounds]
