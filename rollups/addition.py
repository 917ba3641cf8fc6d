"""Adding blocks of plain cells.

What: `added(blocks)` answers what `combine` would, to the byte, for blocks that each name a series at most once, all of
one pane. Why: six panes of 100,000 series add up without sorting 600,000 rows, since a number is a place. It refuses
blocks that are not plain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollups import exemplar, sums
from rollups.combine import combine
from rollups.merge_limits import DENSE_ROWS
from rollups.plain import NO_CELLS
from schemas.cells import Cells, Column

_BUCKET_BITS = np.int64(32)
_BIAS = np.int64(1 << 31)
_LOW_HALF = np.int64(0xFFFF_FFFF)

Places = list[NDArray[np.int64]]


def added(blocks: list[Cells]) -> Cells:
    """The sum of plain blocks of one pane; a single block as it is, since aggregates write canonical rows."""
    blocks = [block for block in blocks if len(block)]
    if len(blocks) < 2:
        return blocks[0] if blocks else NO_CELLS
    if sum(map(len, blocks)) < DENSE_ROWS:
        return combine(Cells.concatenate(blocks))
    top = max(int(block.series[-1]) for block in blocks) + 1
    there = np.zeros(top, np.bool_)
    for block in blocks:
        there[block.series.astype(np.int64)] = True
    series = np.flatnonzero(there)
    place_of = np.cumsum(there) - 1
    places = [place_of[block.series.astype(np.int64)] for block in blocks]
    out = _rows(blocks, places, len(series))
    out["series"], out["pane_ms"] = series.astype(np.uint64), np.full(len(series), blocks[0].pane_ms[0])
    out |= _histograms(blocks, places)
    out |= _exemplars(blocks, places)
    return Cells.of(len(series), **out)


def _rows(blocks: list[Cells], places: Places, size: int) -> dict[str, Column]:
    """Row columns; within a block, places are distinct."""
    names = ("count", "sum_whole", "sum_frac", "good", "total")
    sums_of = {name: np.zeros(size, np.int64) for name in names}
    fingerprint = np.zeros(size, np.uint64)
    offset, flags = np.full(size, np.iinfo(np.int64).min), np.zeros(size, np.uint8)
    revision = np.full(size, np.iinfo(np.int32).min, np.int32)
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    for block, place in zip(blocks, places, strict=True):
        for name, column in sums_of.items():
            column[place] += getattr(block, name)
        fingerprint[place] += block.fingerprint
        offset[place] = np.maximum(offset[place], block.offset)
        revision[place] = np.maximum(revision[place], block.revision)
        flags[place] |= block.flags
        measured = block.count > 0
        low[place] = np.minimum(low[place], np.where(measured, block.low, np.inf))
        high[place] = np.maximum(high[place], np.where(measured, block.high, -np.inf))
    whole, frac = sums.carry(sums_of["sum_whole"], sums_of["sum_frac"])
    any_measured = sums_of["count"] > 0
    out: dict[str, Column] = {"offset": offset, "flags": flags, "revision": revision, "fingerprint": fingerprint}
    out |= sums_of
    out |= {"sum_whole": whole, "sum_frac": frac}
    out["low"] = np.where(any_measured, low, 0.0) + 0.0
    out["high"] = np.where(any_measured, high, 0.0) + 0.0
    return out


def _histograms(blocks: list[Cells], places: Places) -> dict[str, Column]:
    """Buckets: each block's are in order, so a merging sort has little to do."""
    parts = [
        (place[block.hist_row] << _BUCKET_BITS) + (block.hist_bucket + _BIAS)
        for block, place in zip(blocks, places, strict=True)
    ]
    keys, counts = np.concatenate(parts), np.concatenate([block.hist_count for block in blocks])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    if len(keys):
        first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        keys, counts = keys[first], np.add.reduceat(counts, first)
    kept = counts != 0
    if not kept.all():
        keys, counts = keys[kept], counts[kept]
    return {
        "hist_row": (keys >> _BUCKET_BITS).astype(np.int32),
        "hist_bucket": ((keys & _LOW_HALF) - _BIAS).astype(np.int32),
        "hist_count": counts,
    }


def _exemplars(blocks: list[Cells], places: Places) -> dict[str, Column]:
    """The best of each place, in order of place."""
    pairs = list(zip(blocks, places, strict=True))
    row = np.concatenate([place[block.exemplar_row] for block, place in pairs])
    value, time_ms, bad, trace = (
        np.concatenate([getattr(block, f"exemplar_{name}") for block in blocks])
        for name in ("value", "time_ms", "bad", "trace")
    )
    best = exemplar.best(row, bad, value, trace, time_ms)
    return {
        "exemplar_row": row[best].astype(np.int32),
        "exemplar_value": value[best] + 0.0,
        "exemplar_time_ms": time_ms[best],
        "exemplar_bad": bad[best],
        "exemplar_trace": trace[best],
    }
