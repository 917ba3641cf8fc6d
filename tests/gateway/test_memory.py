"""The budget is never exceeded, and all of it comes back."""

from __future__ import annotations

import pytest

from gateway.memory import Budget, Share
from gateway.refusal import Refusal


def test_what_does_not_fit_is_refused_and_the_rest_comes_back():
    budget = Budget(100)
    with Share(budget) as one:
        one.grow(60)
        with Share(budget) as other:
            other.grow(30)
            with pytest.raises(Refusal) as caught:
                other.grow(11)
        assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
        assert (budget.used, budget.share) == (60, 0.6)
    assert (budget.used, budget.peak) == (0, 90)


def test_a_share_comes_back_after_an_error():
    budget = Budget(10)
    share = Share(budget)
    share.grow(10)
    with pytest.raises(Refusal), share:
        share.grow(1)
    assert budget.used == 0
