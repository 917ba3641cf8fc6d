"""Laws of history and budget: running sums are the sums of the buckets; order does not matter; spent plus left is all."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.budget import budget_of
from alerts.history import History, Layout, Window
from tests.alerts.simulate import START_MS

LAYOUT = Layout.of([Window(1_200_000, 72), Window(60_000, 6), Window(6_000_000, 72), Window(30_000_000, 72)])
JUMPS_MS = st.sampled_from([0, 400, 9_000, 10_000, 70_000, 95_000, 700_000, 40_000_000])
LAGS_MS = st.sampled_from([0, 0, 0, 10_000, 55_000, 600_000, 7_000_000, 50_000_000])
STEP = st.tuples(
    JUMPS_MS, st.lists(st.tuples(st.integers(0, 2), LAGS_MS, st.integers(-3, 50), st.integers(0, 60)), max_size=5)
)


def driven(steps: list[tuple[int, list[tuple[int, int, int, int]]]], turn: int = 1) -> History:
    """A history of three groups after all steps; `turn` = -1 gives each step's deltas in reverse order."""
    history, time_ms = History(LAYOUT), START_MS
    every = np.array([history.add_group() for _ in range(3)])
    for jump_ms, deltas in steps:
        time_ms += jump_ms
        history.advance(every, np.full(3, time_ms))
        rows, lags, good, total = (
            (np.array(column, np.int64) for column in zip(*deltas[::turn], strict=True))
            if deltas
            else (np.zeros(0, np.int64) for _ in range(4))
        )
        history.add(rows, (time_ms - lags) // 10_000 * 10_000, good, total)
    return history


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=30))
def test_running_sums_are_the_sums_of_the_buckets(steps: list[tuple[int, list[tuple[int, int, int, int]]]]) -> None:
    history = driven(steps)
    for row in range(3):
        kept, again = history.sums(np.array([row])), history.recomputed(row)
        assert kept.good.tolist() == again.good.tolist()
        assert kept.total.tolist() == again.total.tolist()
        assert kept.measured.tolist() == again.measured.tolist()


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=30))
def test_a_window_holds_what_a_plain_list_of_all_deltas_holds(
    steps: list[tuple[int, list[tuple[int, int, int, int]]]],
) -> None:
    history, time_ms, deltas = driven(steps), START_MS, []
    for jump_ms, entries in steps:
        time_ms += jump_ms
        deltas += [(row, (time_ms - lag_ms) // 10_000 * 10_000, good, total) for row, lag_ms, good, total in entries]
    found = history.sums(np.arange(3))
    for at, (length_ms, ring) in enumerate(zip(LAYOUT.windows_ms, LAYOUT.ring_of, strict=True)):
        width = LAYOUT.widths_ms[ring]
        first_ms = (time_ms - length_ms) // width * width
        for row in range(3):
            inside = [delta for delta in deltas if steps and delta[0] == row and delta[1] // width * width >= first_ms]
            assert found.good[row, at] == sum(delta[2] for delta in inside)
            assert found.total[row, at] == sum(delta[3] for delta in inside)


@settings(max_examples=80, deadline=None)
@given(st.lists(STEP, max_size=20))
def test_the_order_of_deltas_within_a_step_does_not_matter(
    steps: list[tuple[int, list[tuple[int, int, int, int]]]],
) -> None:
    one, other = driven(steps).arrays(), driven(steps, -1).arrays()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1_190), st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_any_order_of_arrival_within_retention_gives_the_same_windows(deltas: list[tuple[int, int, int]]) -> None:
    def sums(entries: list[tuple[int, int, int]]) -> list[list[int]]:
        history = History(LAYOUT)
        row = np.array([history.add_group()])
        for age_s, good, more in entries:
            history.advance(row, np.array([START_MS]))
            history.add(
                row, np.array([START_MS - age_s * 1000]) // 10_000 * 10_000, np.array([good]), np.array([good + more])
            )
        found = history.sums(row)
        return [found.good.tolist()[0], found.total.tolist()[0], found.measured.tolist()[0]]

    assert sums(deltas) == sums(sorted(deltas)) == sums(deltas[::-1])


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from([0.1, 0.01, 0.001, 0.0001]))
def test_spent_plus_left_is_the_total_budget(good: int, bad: int, allowed: float) -> None:
    budget = budget_of(good, good + bad, allowed)
    assert abs(budget.spent + budget.left - budget.allowed) <= 1e-9 * max(1.0, budget.allowed, budget.spent)
    if budget.allowed > 0:
        assert (budget.share_left <= 0) == (budget.spent >= budget.allowed)
