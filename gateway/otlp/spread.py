"""Spread: a histogram of counts as the values that it stands for.

What: as many values as there are counts, each inside its own bucket, at the one place within the buckets that makes their
sum the histogram's sum. Why: our telemetry carries values; so count and sum arrive exactly, and the share below a bound of
the histogram too, which is what an SLO asks. It refuses to be exact about what a histogram has forgotten: where inside its
bucket a value was.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.cumulative import Counts

_LEAST: Final = 1e-9  # a bucket is open at its lower edge


@dataclasses.dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets (lower, upper] with their counts, ascending, shapes (n,); the counts are above 0."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def total(self) -> int:
        """All counts together."""
        return int(self.count.sum())


def buckets_of(counts: Counts, low: float | None, high: float | None, total: float | None) -> Buckets:
    """Buckets with their edges. `low`, `high`, `total`: smallest, largest, sum, where known. Raises OverflowError."""
    if counts.scale is None:
        return _explicit(counts, low, high, total)
    rows = sorted((side, index * side, count) for (side, index), count in counts.of.items() if count > 0)
    edges = [_edges(side, turned * side, counts.scale) for side, turned, _ in rows]
    lower, upper = (np.array([edge[at] for edge in edges], np.float64) for at in (0, 1))
    return _within(lower, upper, np.array([count for *_, count in rows], np.int64), low, high)


def _explicit(counts: Counts, low: float | None, high: float | None, total: float | None) -> Buckets:
    count = np.zeros(len(counts.bounds) + 1, np.int64)
    for (_, place), number in counts.of.items():
        count[place] = number
    edges = np.array(counts.bounds, np.float64)
    first = low if low is not None else (0.0 if not len(edges) or edges[0] > 0 else float(edges[0]))
    last = high if high is not None else _last(edges, count, first, total)
    return _within(np.append(first, edges), np.append(edges, last), count, low, high)


def _last(edges: NDArray[np.float64], count: NDArray[np.int64], first: float, total: float | None) -> float:
    """An upper edge for the bucket that has none, high enough for the sum to be reached."""
    others = np.append(first, edges)
    least = float(np.nextafter(others[-1], math.inf)) if len(edges) else first
    if total is None or not count[-1]:
        return least
    middle = (others[:-1] + others[1:]) / 2
    return max(least, (total - float(middle @ count[:-1])) / int(count[-1]))


def _edges(side: int, index: int, scale: int) -> tuple[float, float]:
    """(lower, upper) edge of an exponential bucket."""
    near, far = (0.0, 0.0) if side == 0 else (_edge(index, scale), _edge(index + 1, scale))
    return (near, far) if side >= 0 else (-far, -near)


def _edge(index: int, scale: int) -> float:
    """2 ** (index / 2 ** scale). Raises OverflowError."""
    if scale <= 0:
        return math.ldexp(1.0, index << -scale)
    steps = 1 << scale
    return math.ldexp(2.0 ** (index % steps / steps), index // steps)


def _within(
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    count: NDArray[np.int64],
    low: float | None,
    high: float | None,
) -> Buckets:
    """Only buckets that hold something, no wider than the smallest and the largest value say."""
    some = count > 0
    lower, upper, count = lower[some], upper[some], count[some]
    if low is not None:
        lower = np.maximum(lower, np.minimum(low, upper))
    if high is not None:
        upper = np.minimum(upper, np.maximum(high, lower))
    return Buckets(lower, np.maximum(upper, lower), count)


def spread(buckets: Buckets, total: float | None) -> NDArray[np.float64]:
    """The values, ascending, shape (count,). `total`: their sum where it is known; else each is its bucket's upper edge."""
    low = float(buckets.lower @ buckets.count)
    width = float((buckets.upper - buckets.lower) @ buckets.count)
    place = 1.0 if total is None or width <= 0 else min(max((total - low) / width, _LEAST), 1.0)
    each = buckets.lower + (buckets.upper - buckets.lower) * place
    return np.repeat(each, buckets.count)
