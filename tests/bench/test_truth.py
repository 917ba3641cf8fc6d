"""Truth: sums of what was published, and that a wrong result is seen.

What: small loads made twice, results made wrong on purpose. Why: a check that never fails would let any time count. It
refuses a broker.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest

from bench.outcome import WrongOutcome
from bench.truth import all_rows, check, first_windows, taken_rows, windows
from bench.workloads import HOT_SERIES, PARTITIONS, Load

END_MS = 1_800_000_005_000
LOAD = Load(5_000, 40, 400.0)


@pytest.fixture
def truth():
    return windows(all_rows(LOAD, END_MS))


def test_the_same_load_is_the_same_twice_and_all_of_it_is_in_the_windows(truth):
    assert truth == windows(all_rows(LOAD, END_MS))
    assert sum(cell["count"] for cell in truth.values()) == LOAD.measurements
    assert all(sum(cell["histogram"].values()) == cell["count"] for cell in truth.values())
    assert check(truth, truth, set(truth)) == LOAD.measurements


def test_the_first_sight_of_each_series_is_in_the_windows_too():
    load = Load(5_040, 40, 400.0, warm_up=True)
    found = windows(all_rows(load, END_MS))
    first = {at: found[at] for at in first_windows(found)}
    assert len(first) == load.series
    assert {cell["count"] for cell in first.values()} == {1}
    assert sum(cell["count"] for cell in found.values()) == load.measurements


@pytest.mark.parametrize("field", ["count", "sum", "low", "high", "good", "histogram"])
def test_one_wrong_field_is_seen(truth, field):
    wrong = copy.deepcopy(truth)
    cell = next(iter(wrong.values()))
    cell[field] = {"1": 1} if field == "histogram" else cell[field] + 1e-3
    with pytest.raises(WrongOutcome, match=f"1 of .* such as .*{field} is"):
        check(wrong, truth, set())


def test_a_window_that_is_missing_or_invented_is_seen(truth):
    first = first_windows(truth)
    assert 1 <= len(first) <= 40
    less = {at: cell for at, cell in truth.items() if at not in first}
    with pytest.raises(WrongOutcome, match="missing"):
        check(less, truth, first)
    assert check(less, truth, set())
    more = truth | {("client-9|GET|/none", 0): next(iter(truth.values()))}
    with pytest.raises(WrongOutcome, match="not published"):
        check(more, truth, set())


def test_a_prefix_is_counted_by_partition():
    every = all_rows(LOAD, END_MS)
    some = taken_rows(every, [10, 0, 7, 5_000])
    count = np.bincount(some.source % PARTITIONS, minlength=PARTITIONS)
    assert count.tolist() == [10, 0, 7, LOAD.measurements // PARTITIONS]
    assert windows(taken_rows(every, [0, 0, 0, 0])) == {}


def test_disorder_and_a_hot_series_are_of_the_share_that_is_asked_for():
    straight = all_rows(LOAD, END_MS)
    mixed = all_rows(Load(5_000, 40, 400.0, disorder=0.1), END_MS)
    assert 0.07 < np.mean(mixed.time_ms < straight.time_ms) < 0.13
    hot = all_rows(Load(5_000, 40, 400.0, hot=0.5), END_MS)
    assert 0.45 < np.mean(hot.series == HOT_SERIES) < 0.57
    assert len(np.unique(hot.source[hot.series == HOT_SERIES])) == len(np.unique(hot.source))
