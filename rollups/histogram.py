"""Base-2 exponential histograms with exact bucket edges, sparse.

What: a value belongs to one int32 bucket code; a histogram is (code, count) pairs; merging adds counts. With
S = 2**scale, code 0 is zero (|v| <= 2**-40, the resolution of the sums), code c > 0 is the interval
(2**((c - 1)/S - 40), 2**(c/S - 40)], code -c its mirror image for negative values. So c = ceil(log2(v) * S) + 40 S,
that is the OpenTelemetry index (ceil(log2(v) * S) - 1) plus 40 S + 1 (OpenTelemetry data model, exponential
histogram, "all scales"). Codes order as values do. Why no logarithm: `log2` differs in the last place between
machines, and a value next to an edge would change its bucket on a replay; edges come from integer roots instead and
values are compared with them bit by bit. It refuses interpolation: a quantile names a bucket, with a stated error.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from rollups.limits import HISTOGRAM_HIGH_EXPONENT, HISTOGRAM_LOW_EXPONENT, HISTOGRAM_SCALE, MAX_HISTOGRAM_SCALE

_MANTISSA = 52
_ABS = np.int64(0x7FFF_FFFF_FFFF_FFFF)


class ScaleOutOfRange(ValueError):
    """A histogram scale is an integer from 0 to 8."""


def _edge_mantissa(step: int, scale: int) -> int:
    """Largest integer m with m * 2**-52 <= 2**(step / 2**scale): an integer root, so exact. 0 <= step <= 2**scale."""
    value: int = 1 << (step + (_MANTISSA << scale))
    for _ in range(scale):
        value = math.isqrt(value)
    return value


@functools.cache
def _tables(scale: int) -> tuple[int, int, NDArray[np.int32], NDArray[np.int64]]:
    """(shift, first slot, code below the slot's edge, bits of the slot's edge) for lookup by the float's top bits.

    An octave has 2 S equal slots. The narrowest bucket is 2**(1/S) - 1 >= ln 2 / S > 1/(2 S) of an octave wide, so a
    slot holds at most one edge, and one comparison settles the bucket.
    """
    if not 0 <= scale <= MAX_HISTOGRAM_SCALE:
        raise ScaleOutOfRange(str(scale))
    shift = _MANTISSA - (scale + 1)
    octaves = range(1023 - HISTOGRAM_LOW_EXPONENT, 1023 + HISTOGRAM_HIGH_EXPONENT)
    within = [_edge_mantissa(step, scale) - (1 << _MANTISSA) for step in range(1 << scale)]
    edges = np.array([(octave << _MANTISSA) + edge for octave in octaves for edge in within], np.int64)
    first = octaves.start << (scale + 1)
    slots = np.arange(first, octaves.stop << (scale + 1), dtype=np.int64)
    code = np.searchsorted(edges, slots << shift, side="left")
    edge = np.append(edges, np.iinfo(np.int64).max)[code]
    return shift, first, code.astype(np.int32), edge


def bucket(values: NDArray[np.float64], scale: int = HISTOGRAM_SCALE) -> NDArray[np.int32]:
    """Bucket code of each value, shape (n,). Values are finite; beyond 2**43 they fall into the last bucket."""
    shift, first, code, edge = _tables(scale)
    bits = values.view(np.int64) & _ABS
    slot = np.clip((bits >> shift) - first, 0, len(code) - 1)
    codes: NDArray[np.int32] = code[slot] + (bits > edge[slot])
    return np.where(values < 0, -codes, codes)


def span(scale: int = HISTOGRAM_SCALE) -> int:
    """Codes lie in [-span, span]."""
    return (HISTOGRAM_LOW_EXPONENT + HISTOGRAM_HIGH_EXPONENT) << scale


def bounds(codes: NDArray[np.int32], scale: int = HISTOGRAM_SCALE) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(low, high) of each bucket, low < high, shapes (n,). A positive bucket holds its high edge, a negative low."""
    size = float(1 << scale)
    magnitude = np.abs(codes.astype(np.float64))
    outer = np.exp2(magnitude / size - HISTOGRAM_LOW_EXPONENT)
    inner = np.exp2((magnitude - 1) / size - HISTOGRAM_LOW_EXPONENT)
    low = np.where(codes > 0, inner, -outer)
    high = np.where(codes < 0, -inner, outer)
    return low, high


def middle(codes: NDArray[np.int32], scale: int = HISTOGRAM_SCALE) -> NDArray[np.float64]:
    """The value that stands for a bucket, shape (n,): 2 l h / (l + h), which halves the worst relative error.

    With g = 2**(1/S) the error is at most (g - 1) / (g + 1): 4.33 % at scale 3 (Masson, Rim, Lee, DDSketch, 2019,
    section 2.2). Zero stands for the zero bucket: absolute error 2**-40.
    """
    low, high = bounds(codes, scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre: NDArray[np.float64] = 2 * low * high / (low + high)
    centre[codes == 0] = 0.0
    return centre


def relative_error(scale: int = HISTOGRAM_SCALE) -> float:
    """Bound on |quantile - true| / |true| for values beyond the zero bucket."""
    growth = math.exp2(1 / (1 << scale))
    return (growth - 1) / (growth + 1)


def quantile(codes: NDArray[np.int32], counts: NDArray[np.int64], q: float, scale: int = HISTOGRAM_SCALE) -> float:
    """Nearest-rank quantile of one histogram (any order of buckets), 0 <= q <= 1; NaN when it is empty."""
    order = np.argsort(codes, kind="stable")
    cumulative = np.cumsum(counts[order])
    if not len(cumulative) or cumulative[-1] <= 0:
        return math.nan
    rank = min(max(1, math.ceil(q * int(cumulative[-1]))), int(cumulative[-1]))
    found = order[int(np.searchsorted(cumulative, rank, side="left"))]
    return float(middle(codes[found : found + 1], scale)[0])


def quantiles(
    rows: int,
    hist_row: NDArray[np.int32],
    hist_bucket: NDArray[np.int32],
    hist_count: NDArray[np.int64],
    q: float,
    scale: int = HISTOGRAM_SCALE,
) -> NDArray[np.float64]:
    """`quantile` for each row of a Cells block at once, shape (rows,); NaN for rows without a histogram."""
    answer = np.full(rows, np.nan)
    if not len(hist_row):
        return answer
    order = np.lexsort((hist_bucket, hist_row))
    row, cumulative = hist_row[order], np.cumsum(hist_count[order])
    first = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
    before = np.where(first > 0, cumulative[first - 1], 0)
    total = cumulative[np.append(first[1:], len(row)) - 1] - before
    rank = before + np.clip(np.ceil(q * total), 1, np.maximum(total, 1)).astype(np.int64)
    found = np.minimum(np.searchsorted(cumulative, rank, side="left"), len(row) - 1)
    answer[row[first]] = np.where(total > 0, middle(hist_bucket[order][found], scale), np.nan)
    return answer
