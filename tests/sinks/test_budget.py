"""The sliding limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.budget import Budget


def test_no_limit() -> None:
    budget = Budget(0)
    budget.spend(5)
    assert budget.free_at(5, urgent=False) == 5


def test_pages_have_a_part_of_their_own() -> None:
    budget = Budget(8, 60_000)
    for at in range(6):
        assert budget.free_at(at, urgent=False) == at
        budget.spend(at)
    assert budget.free_at(10, urgent=False) == 60_000
    assert budget.free_at(10, urgent=True) == 10


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=60))
def test_no_window_holds_more_than_the_limit(most: int, steps: list[tuple[int, bool]]) -> None:
    budget, now, sent = Budget(most, 1_000), 0, []
    for step, urgent in steps:
        now += step
        free = budget.free_at(now, urgent)
        if free == now:
            budget.spend(now)
            sent.append(now)
        else:
            assert budget.free_at(free, urgent) == free  # the time it names is the right one
            now = max(now, free)
    assert all(sum(at - 1_000 < other <= at for other in sent) <= most for at in sent)
