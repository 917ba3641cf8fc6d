"""Latest: of one source partition's rows for a pane, the truth; and the difference between two truths.

What: `resolve` takes what is known and a newer block. A cumulative row replaces the cell if its as-of offset is
higher; a late row is added if its own offset is higher than the cell's, which it then becomes. `difference` is what a
correction adds to windows that have counted the old value. Why: a cell's value is a function of its as-of offset alone,
so repeats, replays and other checkpoint boundaries reduce to "the higher offset knows more" (decision 3).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rollups.combine import combine
from schemas.cells import FLAG_LATE, Cells

Rows = NDArray[np.int64]


def resolve(known: Cells, block: Cells) -> tuple[Cells, NDArray[np.uint64]]:
    """(rows after the block, ids of the series that changed). One row a series, ordered by series."""
    late = (block.flags & FLAG_LATE) != 0
    now, changed = _replace(known, block.take(np.flatnonzero(~late)) if late.any() else block)
    if not late.any():
        return now, changed
    rows = block.take(np.flatnonzero(late))
    base = offsets_of(now, rows.series)
    fresh = rows.take(np.flatnonzero(rows.offset > base))
    added = combine(Cells.concatenate([now, without_flags(fresh)]))
    return added, np.union1d(changed, fresh.series)


def _replace(known: Cells, block: Cells) -> tuple[Cells, NDArray[np.uint64]]:
    newer = block.take(np.flatnonzero(block.offset > offsets_of(known, block.series)))
    if not len(newer):
        return known, np.zeros(0, np.uint64)
    both = Cells.concatenate([known, newer])
    order = np.lexsort((both.offset, both.series))
    last = np.append(both.series[order][1:] != both.series[order][:-1], True)
    return both.take(order[last]), np.unique(newer.series)


def offsets_of(known: Cells, series: NDArray[np.uint64]) -> NDArray[np.int64]:
    """As-of offset of each of the series in `known` (ordered by series), -1 where it has no row."""
    if not len(known):
        return np.full(len(series), -1, np.int64)
    at = np.minimum(np.searchsorted(known.series, series), len(known) - 1)
    return np.where(known.series[at] == series, known.offset[at], np.int64(-1))


def rows_of(known: Cells, series: NDArray[np.uint64]) -> Cells:
    """The rows of these series (distinct) that exist."""
    if not len(known):
        return known
    at = np.minimum(np.searchsorted(known.series, series), len(known) - 1)
    return known.take(at[known.series[at] == series])


def without_flags(cells: Cells) -> Cells:
    """The same rows, flags cleared."""
    return dataclasses.replace(cells, flags=np.zeros(len(cells), np.uint8))


def difference(new: Cells, old: Cells) -> Cells:
    """What must be added to a window that counted `old` so that it counts `new`. Extremes and exemplars only grow."""
    minus = dataclasses.replace(
        old,
        count=-old.count,
        sum_whole=-old.sum_whole,
        sum_frac=-old.sum_frac,
        good=-old.good,
        total=-old.total,
        fingerprint=np.uint64(0) - old.fingerprint,
        hist_count=-old.hist_count,
        exemplar_row=old.exemplar_row[:0],
        exemplar_value=old.exemplar_value[:0],
        exemplar_time_ms=old.exemplar_time_ms[:0],
        exemplar_bad=old.exemplar_bad[:0],
        exemplar_trace=old.exemplar_trace[:0],
    )
    both = combine(Cells.concatenate([new, minus]))
    return both.take(np.flatnonzero((both.count != 0) | (both.fingerprint != 0)))
