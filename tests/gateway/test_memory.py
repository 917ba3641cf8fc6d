"""The budget is never exceeded, and all of it comes back."""

from __future__ import annotations

import pytest

from gateway.memory import Budget, Share
from gateway.refusal import Refusal


def test_what_does_not_fit_is_refused_and_the_rest_comes_back():
    budget = Budget(100)
    with Share(budget, "one") as one:
        one.grow(50)
        with Share(budget, "other") as other:
            other.grow(40)
            with pytest.raises(Refusal) as caught:
                other.grow(11)
        assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
        assert (budget.used, budget.share) == (50, 0.5)
    assert (budget.used, budget.peak) == (0, 90)


def test_a_share_comes_back_after_an_error():
    budget = Budget(10)
    share = Share(budget)
    share.grow(7)
    with pytest.raises(Refusal), share:
        share.grow(4)
    assert budget.used == 0


def test_a_noisy_tenant_leaves_room_for_others():
    budget = Budget(100)
    with Share(budget, "noisy") as noisy:
        for _ in range(75):
            noisy.grow(1)
        with pytest.raises(Refusal) as caught:
            noisy.grow(1)
        assert caught.value.reason == "share"
        with Share(budget, "quiet") as quiet:
            quiet.grow(25)
            with pytest.raises(Refusal) as caught:
                noisy.grow(1)
            with pytest.raises(Refusal, match="full"):
                quiet.grow(1)
    assert budget.by_tenant == {}
    assert budget.used == 0


def test_with_room_nobody_is_held_to_a_part():
    budget = Budget(100)
    with Share(budget, "a") as one, Share(budget, "b") as other:
        one.grow(1)
        other.grow(49)
        with pytest.raises(Refusal):
            other.grow(2)


def test_to_ask_for_room_holds_nothing():
    budget = Budget(10)
    with Share(budget) as share:
        share.room(7)
        assert budget.used == 0
        with pytest.raises(Refusal):
            share.room(11)
