"""Blocks of plain cells, compressed.

What: `fold` and `unfold`. Plain cells: `series` holds numbers (`definitions`), ascending; one pane; no definitions, flags
or revisions; side columns ordered by row. Before zstd, a column gives up what another one tells: a cell of one
measurement has its sum in its low, the first bucket of a cell is the bucket of its low, high is stored as its distance
from low. Why: the merge keeps every pane until the late horizon, and these blocks are most of its memory. It refuses
loss: what comes back is equal to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollups import histogram, sums
from rollups.limits import FIXED_POINT
from rollups.packing import pack, unpack
from schemas.cells import EXEMPLAR_COLUMNS, Cells, Column

_ROW_BITS = np.int64(32)
_BIAS = np.int64(1 << 31)


def fold(cells: Cells) -> bytes:
    """Plain cells as bytes."""
    low = cells.low.view(np.int64)
    whole, frac = _of_low(cells.count, cells.low)
    bucketed = _in_order(cells)
    size = np.bincount(bucketed.hist_row, minlength=len(cells))
    shift = 0 if np.any((cells.good | cells.total) & np.int64(FIXED_POINT - 1)) else FIXED_POINT.bit_length() - 1
    columns: dict[str, Column] = {
        "series": cells.series.astype(np.int64),
        "offset": cells.offset,
        "count": cells.count,
        "sum_whole": cells.sum_whole - whole,
        "sum_frac": _planes(cells.sum_frac - frac),
        "low": _planes(low),
        "spread": _planes(cells.high.view(np.int64) - low),
        "total": cells.total >> shift,
        "bad": (cells.total - cells.good) >> shift,
        "fingerprint": cells.fingerprint if cells.fingerprint.any() else cells.fingerprint[:0],
        "hist_size": size,
        "hist_bucket": bucketed.hist_bucket - _expected(bucketed.hist_bucket, size, cells.low),
        "hist_count": bucketed.hist_count,
    }
    if len(cells.exemplar_row):
        columns |= {name: getattr(cells, name) for name in EXEMPLAR_COLUMNS if name != "exemplar_trace"}
        columns["exemplar_trace"] = np.frombuffer(cells.exemplar_trace.tobytes(), np.uint8)
    pane_ms = int(cells.pane_ms[0]) if len(cells) else 0
    return pack({"pane_ms": str(pane_ms), "shift": str(shift)}, columns, [])


def unfold(data: bytes) -> Cells:
    """Inverse of `fold`. Raises CorruptState."""
    found = unpack(data)
    columns = found.columns
    shift = int(found.meta["shift"])
    rows = len(columns["series"])
    low = _joined(columns["low"])
    count = columns["count"].astype(np.int64)
    whole, frac = _of_low(count, low.view(np.float64))
    size = columns["hist_size"].astype(np.int64)
    total = columns["total"].astype(np.int64) << shift
    fingerprint = columns["fingerprint"]
    side = {name: columns[name] for name in EXEMPLAR_COLUMNS if name in columns}
    if "exemplar_trace" in side:
        side["exemplar_trace"] = np.frombuffer(side["exemplar_trace"].tobytes(), "V16")
    return Cells.of(
        rows,
        series=columns["series"],
        pane_ms=np.full(rows, int(found.meta["pane_ms"])),
        offset=columns["offset"],
        count=count,
        sum_whole=columns["sum_whole"].astype(np.int64) + whole,
        sum_frac=_joined(columns["sum_frac"]) + frac,
        low=low.view(np.float64),
        high=(_joined(columns["spread"]) + low).view(np.float64),
        good=total - (columns["bad"].astype(np.int64) << shift),
        total=total,
        fingerprint=fingerprint if len(fingerprint) else np.zeros(rows, np.uint64),
        hist_row=np.repeat(np.arange(rows), size),
        hist_bucket=_buckets(columns["hist_bucket"].astype(np.int64), size, low.view(np.float64)),
        hist_count=columns["hist_count"],
        **side,
    )


def _planes(column: NDArray[np.int64]) -> NDArray[np.uint8]:
    """First all lowest bytes, then all second lowest: bytes of one weight resemble each other."""
    return np.ascontiguousarray(np.ascontiguousarray(column).view(np.uint8).reshape(-1, 8).T).ravel()


def _joined(planes: Column) -> NDArray[np.int64]:
    rows = np.ascontiguousarray(planes.view(np.uint8).reshape(8, -1).T)
    return np.frombuffer(rows.tobytes(), np.int64)


def _of_low(count: NDArray[np.int64], low: NDArray[np.float64]) -> sums.Limbs:
    """The sum of a cell of one measurement; zero for others."""
    whole, frac = sums.carry(*sums.split(low))
    one = count == 1
    return whole * one, frac * one


def _in_order(cells: Cells) -> Cells:
    """The same cells, buckets ordered by (row, bucket)."""
    key = (cells.hist_row.astype(np.int64) << _ROW_BITS) + (cells.hist_bucket + _BIAS)
    if bool(np.all(key[1:] > key[:-1])):
        return cells
    order = np.argsort(key, kind="stable")
    columns: dict[str, Column] = {name: getattr(cells, name) for name in cells.__slots__}
    columns |= {name: columns[name][order] for name in ("hist_row", "hist_bucket", "hist_count")}
    return Cells(**columns)  # type: ignore[arg-type]


def _heads(size: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows that have buckets, position of the first bucket of each)."""
    with_any = np.flatnonzero(size)
    return with_any, (np.cumsum(size) - size)[with_any]


def _expected(bucket: NDArray[np.int32], size: NDArray[np.int64], low: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bucket before in the same row; for the first one, the bucket of the row's low."""
    expected = np.concatenate([np.zeros(1, np.int64), bucket[:-1]])[: len(bucket)]
    rows, heads = _heads(size)
    expected[heads] = histogram.bucket(low[rows])
    return expected


def _buckets(steps: NDArray[np.int64], size: NDArray[np.int64], low: NDArray[np.float64]) -> NDArray[np.int64]:
    """Inverse of subtracting `_expected`."""
    rows, heads = _heads(size)
    steps = steps.copy()
    steps[heads] += histogram.bucket(low[rows])
    summed: NDArray[np.int64] = np.cumsum(steps)
    before = np.where(heads > 0, summed[heads - 1], 0)
    answer: NDArray[np.int64] = summed - np.repeat(before, size[rows])
    return answer
