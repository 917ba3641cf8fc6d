"""Arrays: numpy alone on decoded arrays, the limit of what any reader in Python with numpy could reach.

What: the same windowed work on the same rows, chunk by chunk as a worker gets them: count, sum, lowest, highest, good and
an exponential histogram per series and window. No Kafka, no decoding, no state to keep. Why: what lies between this and a
worker's rate is what transport, contract, time and durability cost. It refuses to merge chunks: that is part of a
worker's work and not of the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from bench.peers.work import HISTOGRAM_SCALE, WINDOW_MS
from bench.results import Figure
from bench.truth import all_rows
from bench.workloads import Load, Rows

CHUNK = 50_000
SERIES = 1_000
RATE = 150_000.0
BUCKETS = 1_024  # of the histogram, for one cell: values from 2**-64 to 2**64
END_MS = 1_800_000_000_000

Say = Callable[[str], None]


def fold(rows: Rows, chunk: slice) -> int:
    """One chunk to its aggregates; how many cells it has."""
    value = rows.value[chunk]
    pane = rows.time_ms[chunk] // WINDOW_MS
    key = rows.series[chunk] + (pane - pane.min()) * SERIES
    cells = int(key.max()) + 1
    count = np.bincount(key, minlength=cells)
    np.bincount(key, value, cells)
    np.bincount(key, rows.good[chunk], cells)
    low, high = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(low, key, value)
    np.maximum.at(high, key, value)
    bucket = np.ceil(np.log2(value) * HISTOGRAM_SCALE).astype(np.int64) + BUCKETS // 2
    np.bincount(key * BUCKETS + bucket)
    return int(np.count_nonzero(count))


def limit(measurements: int, runs: int, say: Say) -> list[Figure]:
    """Measurements a second on one core."""
    rows = all_rows(Load(measurements, SERIES, RATE), END_MS)
    found = []
    for run in range(runs + 1):
        begun = time.perf_counter()
        for begin in range(0, measurements, CHUNK):
            fold(rows, slice(begin, begin + CHUNK))
        if not run:
            continue  # the first pass asks the system for memory
        found.append(measurements / (time.perf_counter() - begun))
        say(f"numpy alone: {found[-1]:,.0f}/s")
    told = f"the same windows on decoded arrays in chunks of {CHUNK:,}, one core, no Kafka"
    return [Figure("arrays_measurements_per_s", "measurements/s", tuple(found), "", told)]
