"""Exact sums: the split is exact to 2**-40, and no order or grouping shows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from rollups import sums

VALUES = st.floats(-(2.0**43), 2.0**43, exclude_min=True, exclude_max=True)


def exact(whole: int, frac: int) -> Fraction:
    return whole + Fraction(frac, 1 << 40)


@given(VALUES)
@example(0.5)
@example(-0.5)
@example(-1e-20)
@example(2.0**-41)
@example(3 * 2.0**-41)
@example(np.nextafter(2.0**43, 0))
def test_a_value_is_rounded_once_to_the_nearest_unit(value: float) -> None:
    whole, frac = sums.carry(*sums.split(np.array([value])))
    assert exact(int(whole[0]), int(frac[0])) == Fraction(round(Fraction(value) * (1 << 40)), 1 << 40)
    assert 0 <= int(frac[0]) < 1 << 40


@given(st.lists(VALUES, max_size=30), st.randoms(use_true_random=False))
def test_the_sum_is_exact_in_any_order_and_grouping(values: list[float], random: object) -> None:
    expected = sum((Fraction(round(Fraction(value) * (1 << 40)), 1 << 40) for value in values), Fraction(0))
    shuffled = list(values)
    random.shuffle(shuffled)
    cut = len(values) // 2
    whole, frac = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for part in (shuffled[:cut], shuffled[cut:]):
        part_whole, part_frac = sums.split(np.array(part, np.float64))
        whole, frac = sums.carry(whole + part_whole.sum(), frac + part_frac.sum())
    assert exact(int(whole[0]), int(frac[0])) == expected


@given(VALUES)
def test_to_float_is_the_value_again(value: float) -> None:
    back = sums.to_float(*sums.carry(*sums.split(np.array([value]))))[0]
    assert abs(back - value) <= max(2.0**-41, abs(value) * 2.0**-52)
