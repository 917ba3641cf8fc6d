"""Latest: of one source partition's rows for a pane, the truth; and the difference between two truths.

What: `resolve` takes what is known and a newer block. A cumulative row replaces the cell if its as-of offset is
higher; a late row is added if its own offset is higher than the cell's, which it then becomes. `difference` is what a
correction adds to windows that have counted the old value. Why: a cell's value is a function of its as-of offset alone,
so repeats, replays and other checkpoint boundaries reduce to "the higher offset knows more" (decision 3). It refuses
rows of several panes or source partitions: the caller holds those apart. All cells here are plain, except
that a block may name a series more than once.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rollups.combine import combine
from rollups.plain import picked
from schemas.cells import FLAG_LATE, Cells

Series = NDArray[np.uint64]
NONE: Series = np.zeros(0, np.uint64)


def resolve(known: Cells, block: Cells) -> tuple[Cells, Series]:
    """(rows after the block, series that changed, ascending). The block is ordered by series and offset."""
    late = (block.flags & FLAG_LATE) != 0
    if not late.any():
        return _replace(known, block)
    now, changed = _replace(known, picked(block, np.flatnonzero(~late)))
    added = fresh(now, picked(block, np.flatnonzero(late)))
    if not len(added):
        return now, changed
    return combine(Cells.concatenate([now, added])), np.union1d(changed, added.series)


def fresh(known: Cells, late: Cells) -> Cells:
    """Of late rows, those that `known` does not hold yet: one row a series."""
    rows = np.flatnonzero(late.offset > offsets_of(known, late.series))
    return combine(without_flags(picked(late, rows)))


def _replace(known: Cells, block: Cells) -> tuple[Cells, Series]:
    newer = block.offset > offsets_of(known, block.series)
    if len(block) > 1:
        repeated = block.series[1:] == block.series[:-1]  # ordered by offset: the last one counts
        newer[:-1] &= ~repeated
    if not newer.all():
        block = picked(block, np.flatnonzero(newer))
    if not len(block):
        return known, NONE
    block = without_flags(block)
    kept = np.flatnonzero(offsets_of(block, known.series) < 0)
    if not len(kept):
        return block, block.series
    both = Cells.concatenate([known if len(kept) == len(known) else picked(known, kept), block])
    if both.series[len(kept) - 1] < both.series[len(kept)]:  # the next piece of a pane that came in several
        return both, block.series
    return picked(both, np.argsort(both.series, kind="stable")), block.series


def offsets_of(known: Cells, series: Series) -> NDArray[np.int64]:
    """As-of offset of each of the series (ascending) in `known`, -1 where it has no row."""
    if not len(known) or not len(series) or series[0] > known.series[-1] or series[-1] < known.series[0]:
        return np.full(len(series), -1, np.int64)
    if len(known) == len(series) and np.array_equal(known.series, series):
        return known.offset
    at = np.minimum(np.searchsorted(known.series, series), len(known) - 1)
    return np.where(known.series[at] == series, known.offset[at], np.int64(-1))


def rows_of(known: Cells, series: Series) -> Cells:
    """The rows of these series (ascending, distinct) that exist."""
    if not len(known) or not len(series):
        return known if not len(known) else picked(known, np.zeros(0, np.int64))
    at = np.minimum(np.searchsorted(known.series, series), len(known) - 1)
    return picked(known, at[known.series[at] == series])


def without_flags(cells: Cells) -> Cells:
    """The same rows, flags cleared."""
    return dataclasses.replace(cells, flags=np.zeros(len(cells), np.uint8)) if cells.flags.any() else cells


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
    return picked(both, np.flatnonzero((both.count != 0) | (both.fingerprint != 0)))
