"""Watermarks: event time, idle time that is not blocked time, never back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollups.limits import NEVER, PANE_MS, Lateness
from rollups.watermark import Watermarks

WEB, DESKTOP, VEHICLE = 0, 1, 2
LATENESS = Lateness()


def test_it_follows_the_highest_event_time_by_the_lateness_of_the_kind() -> None:
    marks = Watermarks(LATENESS)
    marks.observe(WEB, 100_000)
    marks.observe(VEHICLE, 400_000)
    marks.observe(WEB, 90_000)
    assert marks.current() == (95_000, NEVER, 100_000, NEVER)


def test_a_kind_that_never_came_follows_the_clock_only_when_caught_up() -> None:
    marks = Watermarks(LATENESS)
    marks.tick(1_000_000, caught_up=False)
    assert marks.current()[DESKTOP] == NEVER
    marks.tick(1_001_000, caught_up=True)
    assert marks.current()[DESKTOP] == 996_000


def test_idle_time_counts_after_two_seconds_of_silence() -> None:
    marks = Watermarks(LATENESS)
    marks.observe(WEB, 500_000)
    marks.tick(1_000_000, caught_up=True)
    marks.tick(1_001_900, caught_up=True)
    assert marks.current()[WEB] == 495_000
    marks.tick(1_002_000, caught_up=True)
    assert marks.current()[WEB] == 497_000
    marks.tick(1_010_000, caught_up=True)
    assert marks.current()[WEB] == 505_000


def test_blocked_time_is_not_idle_time() -> None:
    marks = Watermarks(LATENESS)
    marks.observe(WEB, 500_000)
    marks.tick(1_000_000, caught_up=True)
    marks.tick(1_060_000, caught_up=False)
    marks.tick(1_061_000, caught_up=True)
    assert marks.current()[WEB] == 495_000


def test_a_pane_closes_when_the_watermark_passes_its_end_and_grace() -> None:
    marks = Watermarks(LATENESS)
    assert marks.closed_before(WEB) == NEVER
    marks.observe(WEB, 10 * PANE_MS + LATENESS.lateness_ms[WEB] + LATENESS.grace_ms - 1)
    assert marks.closed_before(WEB) == 9 * PANE_MS
    marks.observe(WEB, 10 * PANE_MS + LATENESS.lateness_ms[WEB] + LATENESS.grace_ms)
    assert marks.closed_before(WEB) == 10 * PANE_MS


STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans()), max_size=30)


@given(STEPS)
def test_it_never_goes_back_and_survives_a_restart(steps: list[tuple[int, int, int, bool]]) -> None:
    marks = Watermarks(LATENESS)
    before = marks.current()
    for kind, event_ms, now_ms, caught_up in steps:
        marks.observe(kind, event_ms)
        marks.tick(now_ms, caught_up)
        after = marks.current()
        assert all(new >= old for new, old in zip(after, before, strict=True))
        before = after
        again = Watermarks(LATENESS)
        again.load(marks.state())
        assert (again.current(), again.state()) == (after, marks.state())


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises((KeyError, ValueError)):
        Watermarks(LATENESS).load({"now": [0], "max_event": [1, 2, 3]})
