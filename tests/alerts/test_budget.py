"""The error budget."""

from __future__ import annotations

import pytest

from alerts.budget import budget_of
from alerts.limits import FIXED_ONE


def test_half_spent_is_half_left() -> None:
    budget = budget_of(9_995 * FIXED_ONE, 10_000 * FIXED_ONE, 0.001)
    assert (budget.allowed, budget.spent, budget.left) == (pytest.approx(10), 5, pytest.approx(5))
    assert budget.share_left == pytest.approx(0.5)


def test_a_missed_objective_has_less_than_nothing_left() -> None:
    assert budget_of(90 * FIXED_ONE, 100 * FIXED_ONE, 0.01).share_left == pytest.approx(-9)


def test_nothing_measured_leaves_everything() -> None:
    assert budget_of(0, 0, 0.01).share_left == 1
