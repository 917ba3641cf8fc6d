"""Sketch: the bucket of a histogram that each integer belongs to, by whole numbers alone.

What: with eight buckets an octave, v > 0 lies in bucket c where 2**((c - 1)/8) < v <= 2**(c/8), that is where c is the least
with v**8 <= 2**c: the eighth root of a power of two, rounded down, is the largest integer of its bucket. Codes are c plus
40 octaves, their mirror image below zero, and 0 for zero. Why: the product finds buckets in a double's bits; the same edges,
got from integers, cannot agree with its mistakes. It refuses values that are not integers, as the ledger does.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

AN_OCTAVE = 8
OCTAVES_BELOW_ONE, OCTAVES = 40, 43  # beyond 2**43 everything lies in the last bucket
KINDS = ("histogram", "outcome")  # whose series have one

Buckets = tuple[tuple[int, int], ...]  # (code, measurements), by code, each once


def largest(bucket: int) -> int:
    """The largest integer v with v**8 <= 2**bucket."""
    return math.isqrt(math.isqrt(math.isqrt(1 << bucket)))


EDGES = np.array([largest(bucket) for bucket in range(AN_OCTAVE * OCTAVES + 1)], np.int64)


def codes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The code of each value."""
    bucket = np.minimum(np.searchsorted(EDGES, np.abs(values)), len(EDGES) - 1)
    return np.asarray(np.sign(values) * (bucket + AN_OCTAVE * OCTAVES_BELOW_ONE), np.int64)


def both(one: Buckets, other: Buckets) -> Buckets:
    """Two in sum."""
    if not one or not other:
        return one or other
    found = dict(one)
    for code, count in other:
        found[code] = found.get(code, 0) + count
    return tuple(sorted(found.items()))
