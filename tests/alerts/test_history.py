"""Rings and window sums."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.history import History, Layout, Window, turns
from tests.alerts.simulate import START_MS

TWO = Layout.of([Window(3_600_000, 72), Window(300_000, 72), Window(86_400_000, 72)])


def one(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([value], np.int64)


def test_a_window_reads_the_coarsest_ring_that_resolves_it() -> None:
    assert TWO.widths_ms == (10_000, 300_000)
    assert TWO.slots == (392, 291)
    assert TWO.ring_of == (0, 0, 1)


def test_the_share_of_the_oldest_bucket_inside_the_window_counts() -> None:
    """
    bucket   |----10----|
    window        [------------ 5 m ---)   4 s of the bucket's 10 s are outside
    """
    history = History(Layout.of([Window(300_000, 72)]))
    row = history.add_group()
    history.advance(one(row), one(START_MS))
    history.add(one(row), one(START_MS), one(0), one(10 << 20))
    for after_s, inside in ((9, 10.0), (300, 10.0), (304, 6.0), (309, 1.0), (310, 0.0)):
        history.advance(one(row), one(START_MS + after_s * 1000))
        assert history.shares(one(row), one(START_MS + after_s * 1000)).total[0, 0] == pytest.approx(inside)


def test_a_pane_older_than_every_ring_is_counted_as_too_old() -> None:
    history = History(TWO)
    row = history.add_group()
    history.advance(one(row), one(START_MS))
    assert history.add(one(row), one(START_MS - 25 * 3_600_000), one(0), one(1)) == 1
    assert history.add(one(row), one(START_MS - 23 * 3_600_000), one(0), one(1)) == 0
    assert history.sums(one(row)).total.tolist() == [[0, 0, 1]]


def test_time_of_a_group_never_goes_back() -> None:
    history = History(TWO)
    row = history.add_group()
    history.advance(one(row), one(START_MS))
    history.add(one(row), one(START_MS), one(1), one(1))
    history.advance(one(row), one(START_MS - 3_600_000))
    assert history.sums(one(row)).total.tolist() == [[1, 1, 1]]


def test_turns_hold_each_row_once_and_keep_its_order() -> None:
    rows = np.array([5, 3, 5, 5, 3, 9])
    found = [[int(place) for place in turn] for turn in turns(rows)]
    assert [sorted(rows[turn].tolist()) for turn in found] == [[3, 5, 9], [3, 5], [5]]
    assert [place for turn in found for place in turn if rows[place] == 5] == [0, 2, 3]
    assert turns(np.zeros(0, np.int64)) == []
