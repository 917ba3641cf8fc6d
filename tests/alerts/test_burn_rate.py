"""Burn rates and the Wilson bound."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.burn_rate import burn, error_ratio, layout_of, wilson_low
from alerts.policy import shipped_policies


def low(bad: float, total: float, z: float = 2.326) -> float:
    return float(wilson_low(np.array([bad / total]), np.array([total]), z)[0])


#: bad, total, pages at 14.4x and 99.9 % (limit 1.44 %), with z = 2.326
TABLE = [(1, 10, False), (2, 10, True), (2, 120, False), (5, 120, True), (20, 1000, False), (30, 1000, True)]


@pytest.mark.parametrize(("bad", "total", "pages"), TABLE)
def test_few_measurements_prove_little(bad: int, total: int, pages: bool) -> None:
    assert (low(bad, total) > 0.0144) is pages


def test_the_bound_has_its_published_values() -> None:
    assert low(1, 10) == pytest.approx(0.0139, abs=5e-5)
    assert low(2, 10) == pytest.approx(0.046, abs=5e-4)
    assert low(1, 10, z=1.96) == pytest.approx(0.0179, abs=5e-5)


def test_with_a_smaller_z_one_failure_of_ten_would_page() -> None:
    assert low(1, 10, z=1.96) > 0.0144


def test_nothing_measured_is_no_error_and_no_certainty() -> None:
    nothing = np.zeros(1)
    assert error_ratio(nothing, nothing)[0] == 0
    assert burn(nothing, nothing, np.array([0.001]))[0] == 0
    assert wilson_low(nothing, nothing, 2.326)[0] == 0


def test_burn_of_one_spends_the_budget_by_the_end_of_the_period() -> None:
    assert burn(np.array([999.0]), np.array([1000.0]), np.array([0.001]))[0] == pytest.approx(1)


def test_corrections_never_make_a_ratio_leave_its_range() -> None:
    assert list(error_ratio(np.array([12.0, -3.0]), np.array([10.0, 10.0]))) == [0.0, 1.0]


def test_the_memory_of_the_default_policy_is_as_stated() -> None:
    layout = layout_of(shipped_policies()["default-30d"])
    assert layout.slots == (392, 127, 291, 723)
    assert 24_500 <= layout.bytes_per_group <= 25_000
