"""Which exemplar a cell keeps: at most one, the same whatever the order.

What: bad outcomes before good ones, then the highest value, then the smallest trace id, then the earliest time. Why:
a page must lead to a trace of the worst request, and a replay must choose the same. It refuses randomness.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def order(
    key: NDArray[np.int64],
    bad: NDArray[np.uint8],
    value: NDArray[np.float64],
    trace: NDArray[np.void],
    time_ms: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Permutation by (key, bad first, value down, trace up, time up), shape (n,). The best of each key comes first."""
    halves = np.frombuffer(trace.tobytes(), ">u8").reshape(-1, 2)
    return np.lexsort((time_ms, halves[:, 1], halves[:, 0], -value, bad == 0, key))


def best(
    key: NDArray[np.int64],
    bad: NDArray[np.uint8],
    value: NDArray[np.float64],
    trace: NDArray[np.void],
    time_ms: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Positions of the one exemplar of each key, in order of key, shape (distinct keys,)."""
    if not len(key):
        return np.zeros(0, np.int64)
    ranked = order(key, bad, value, trace, time_ms)
    sorted_key = key[ranked]
    first = np.flatnonzero(np.concatenate([[True], sorted_key[1:] != sorted_key[:-1]]))
    return ranked[first]
