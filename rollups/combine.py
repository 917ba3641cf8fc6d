"""Merging cells: the one place where rows of the same cell become one row.

What: rows with equal (series, pane, key) are added, compared and merged column by column, and come out ordered by
(series, pane, key). Why: aggregation, merge, coarse windows and corrections all need the same sum, and one of them
means one law: combine is associative and commutative to the byte, and `combine(combine(x)) = combine(x)`. It refuses
to decide what is a duplicate: rows that must not be added (replayed cumulative rows) are dropped before.

Column by column: count, sum, good, total, fingerprint and buckets are added (sums carried into canonical form);
low and high are the extremes of the rows with count > 0, and 0 without any; offset and revision are the highest;
flags are united; the exemplar is chosen by `exemplar.best`; the longest definition is kept (the others are equal or
empty; the same length twice is the same bytes).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollups import exemplar, sums
from schemas.cells import Cells, Column, take_slices

_BUCKET_BITS = np.int64(32)
_BUCKET_BIAS = np.int64(1 << 31)


def combine(cells: Cells, key: NDArray[np.int64] | None = None) -> Cells:
    """One row for each distinct (series, pane_ms[, key]), in that order. `key`, shape (n,), holds rows apart."""
    if not len(cells):
        return cells
    ordering, first = _groups(cells, key)
    if len(first) == len(cells) and _is_identity(ordering):
        return _canonical(cells)
    group = np.empty(len(cells), np.int32)
    group[ordering] = np.repeat(np.arange(len(first), dtype=np.int32), np.diff(np.append(first, len(cells))))
    out = _rows(cells, ordering, first)
    out |= _histograms(cells, group)
    out |= _exemplars(cells, group)
    out |= _definitions(cells, ordering, first)
    return Cells(**out)  # type: ignore[arg-type]


def _groups(cells: Cells, key: NDArray[np.int64] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(permutation that sorts the rows, positions in it where a new cell begins)."""
    keys: list[Column] = [cells.series, cells.pane_ms] if key is None else [cells.series, cells.pane_ms, key]
    ordering = np.lexsort(tuple(reversed(keys)))
    new = np.zeros(len(cells), np.bool_)
    new[0] = True
    for column in keys:
        ordered = column[ordering]
        new[1:] |= ordered[1:] != ordered[:-1]
    return ordering, np.flatnonzero(new)


def _is_identity(ordering: NDArray[np.int64]) -> bool:
    return bool(np.all(ordering[1:] > ordering[:-1]))


def _canonical(cells: Cells) -> Cells:
    """The same rows through the same code as merged ones, so that one row and a merge of one row are equal bytes."""
    alone = np.arange(len(cells), dtype=np.int64)
    out = _rows(cells, alone, alone)
    rows = alone.astype(np.int32)
    out |= _histograms(cells, rows)
    out |= _exemplars(cells, rows)
    out |= {"definition_end": cells.definition_end, "definition_bytes": cells.definition_bytes}
    return Cells(**out)  # type: ignore[arg-type]


def _rows(cells: Cells, ordering: NDArray[np.int64], first: NDArray[np.int64]) -> dict[str, Column]:
    """Row columns of the merged cells."""
    heads = ordering[first]
    out: dict[str, Column] = {"series": cells.series[heads], "pane_ms": cells.pane_ms[heads]}
    for name in ("offset", "revision"):
        out[name] = np.maximum.reduceat(getattr(cells, name)[ordering], first)
    out["flags"] = np.bitwise_or.reduceat(cells.flags[ordering], first)
    for name in ("count", "good", "total", "fingerprint"):
        out[name] = np.add.reduceat(getattr(cells, name)[ordering], first)
    whole = np.add.reduceat(cells.sum_whole[ordering], first)
    frac = np.add.reduceat(cells.sum_frac[ordering], first)
    out["sum_whole"], out["sum_frac"] = sums.carry(whole, frac)
    measured = cells.count > 0
    any_measured = np.add.reduceat(cells.count[ordering], first) > 0
    low = np.where(measured, cells.low, np.inf)[ordering]
    high = np.where(measured, cells.high, -np.inf)[ordering]
    # + 0.0 turns -0.0 into 0.0: which of the two zeros wins a comparison depends on the order
    out["low"] = np.where(any_measured, np.minimum.reduceat(low, first), 0.0) + 0.0
    out["high"] = np.where(any_measured, np.maximum.reduceat(high, first), 0.0) + 0.0
    return out


def _histograms(cells: Cells, group: NDArray[np.int32]) -> dict[str, Column]:
    """Buckets of the merged cells, ordered by (row, bucket), none with count 0."""
    packed = (group[cells.hist_row].astype(np.int64) << _BUCKET_BITS) + (cells.hist_bucket + _BUCKET_BIAS)
    keys, counts = merge_counts(packed, cells.hist_count)
    kept = counts != 0
    keys, counts = keys[kept], counts[kept]
    return {
        "hist_row": (keys >> _BUCKET_BITS).astype(np.int32),
        "hist_bucket": ((keys & np.int64(0xFFFF_FFFF)) - _BUCKET_BIAS).astype(np.int32),
        "hist_count": counts,
    }


def merge_counts(keys: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct keys in order and the sum of the counts of each."""
    if not len(keys):
        return keys, counts
    if not bool(np.all(keys[1:] >= keys[:-1])):
        ordering = np.argsort(keys)
        keys, counts = keys[ordering], counts[ordering]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return (keys, counts) if len(first) == len(keys) else (keys[first], np.add.reduceat(counts, first))


def _exemplars(cells: Cells, group: NDArray[np.int32]) -> dict[str, Column]:
    """The chosen exemplars, ordered by row."""
    row = group[cells.exemplar_row]
    kept = exemplar.best(
        row.astype(np.int64), cells.exemplar_bad, cells.exemplar_value, cells.exemplar_trace, cells.exemplar_time_ms
    )
    return {
        "exemplar_row": row[kept],
        "exemplar_value": cells.exemplar_value[kept] + 0.0,
        "exemplar_time_ms": cells.exemplar_time_ms[kept],
        "exemplar_bad": cells.exemplar_bad[kept],
        "exemplar_trace": cells.exemplar_trace[kept],
    }


def _definitions(cells: Cells, ordering: NDArray[np.int64], first: NDArray[np.int64]) -> dict[str, Column]:
    """The longest definition of each merged cell."""
    length = np.diff(cells.definition_end, prepend=np.int32(0))[ordering]
    longest = np.maximum.reduceat(length, first)
    size = np.diff(np.append(first, len(cells)))
    candidate = np.where(length == np.repeat(longest, size), np.arange(len(cells)), len(cells))
    chosen = ordering[np.minimum.reduceat(candidate, first)]
    end, data = take_slices(cells.definition_end, cells.definition_bytes, chosen)
    return {"definition_end": end, "definition_bytes": data}
