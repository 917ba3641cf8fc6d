"""The peers' work: one event decoded and folded as the check counts it.

What: events of the workload through the very functions that the peers call. Why: a peer that did less would look fast.
It refuses an engine.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.peers.work import WINDOW_MS, decoded, empty, fold, result
from bench.truth import windows
from bench.workloads import Rows, Singles, key_of

TIME_MS = 1_800_000_000_000


def test_a_folded_window_is_the_truth():
    source, series = np.zeros(50, np.int64), np.zeros(50, np.int64)
    value, good = np.random.default_rng(1).lognormal(3.0, 1.0, 50), np.arange(50) % 5 > 0
    time_ms = np.full(50, TIME_MS)
    cell = empty()
    for event in Singles(1).encoded(source, series, time_ms, value, good):
        one = decoded(event)
        assert (one["key"], one["time_ms"]) == (key_of(0), TIME_MS)
        cell = fold(cell, one)
    truth = windows(Rows(source, series, time_ms, value, good))[key_of(0), TIME_MS // WINDOW_MS * WINDOW_MS]
    told = json.loads(result(TIME_MS, cell))
    assert told.pop("start_ms") == TIME_MS
    assert told.pop("sum") == pytest.approx(truth.pop("sum"))
    assert told == truth
