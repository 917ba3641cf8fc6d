"""Histograms: exact edges, stated error, one code space."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rollups import histogram

VALUES = st.floats(2.0**-39.9, 2.0**42.9)


def one(value: float, scale: int = 3) -> int:
    return int(histogram.bucket(np.array([value]), scale)[0])


def defined(value: float, scale: int) -> int:
    """The definition, ceil(log2(v) * 2**scale) + 40 * 2**scale, with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        steps = Decimal(value).ln() / Decimal(2).ln() * (1 << scale)
        return math.ceil(steps.quantize(Decimal(10) ** -40)) + (40 << scale)


@given(VALUES, st.integers(0, histogram.MAX_HISTOGRAM_SCALE))
@example(1.0, 3)
@example(float(np.nextafter(2.0, 3)), 8)
@example(2.0**0.125, 3)
@example(float(np.nextafter(2.0**0.125, 2)), 3)
def test_the_code_is_the_definition_to_the_last_bit(value: float, scale: int) -> None:
    assert one(value, scale) == defined(value, scale)


@pytest.mark.parametrize("scale", range(histogram.MAX_HISTOGRAM_SCALE + 1))
def test_both_neighbours_of_every_edge_of_an_octave_are_on_their_side(scale: int) -> None:
    edges = np.array([2.0 ** (step / (1 << scale)) for step in range(1 << scale)])
    for value in np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 4)]).tolist():
        assert one(value, scale) == defined(value, scale)


def test_zero_and_negative_values_have_codes_of_their_own() -> None:
    assert [one(value) for value in (0.0, -0.0, 2.0**-40, -(2.0**-40), 5e-324)] == [0, 0, 0, 0, 0]
    assert one(-3.0) == -one(3.0) != 0
    assert one(math.nextafter(2.0**43, 0)) == histogram.span()


@given(st.lists(st.floats(-(2.0**42), 2.0**42), min_size=2, max_size=40))
def test_codes_order_as_values_do(values: list[float]) -> None:
    codes = histogram.bucket(np.array(sorted(values)))
    assert bool(np.all(np.diff(codes) >= 0))


@given(VALUES)
def test_a_value_lies_within_the_bounds_of_its_bucket(value: float) -> None:
    for signed in (value, -value):
        low, high = histogram.bounds(histogram.bucket(np.array([signed])))
        assert low[0] * (1 - 1e-15 * np.sign(low[0])) <= signed <= high[0] * (1 + 1e-15 * np.sign(high[0]))


def test_the_stated_error_is_the_one_of_the_documents() -> None:
    assert histogram.relative_error(3) <= (2 ** (1 / 8) - 1) / 2
    assert round(histogram.relative_error(3), 4) == 0.0433


@given(st.lists(st.one_of(VALUES, VALUES.map(lambda v: -v), st.just(0.0)), min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_within_the_stated_error_of_the_nearest_rank(values: list[float], q: float) -> None:
    codes, counts = np.unique(histogram.bucket(np.array(values)), return_counts=True)
    true = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    found = histogram.quantile(codes[::-1], counts[::-1], q)
    assert abs(found - true) <= histogram.relative_error() * abs(true) * (1 + 1e-12)
    row = np.full(len(codes), 1, np.int32)
    answers = histogram.quantiles(3, row, codes, counts, q)
    assert answers[1] == found
    assert math.isnan(answers[0])
    assert math.isnan(answers[2])


def test_nothing_has_no_quantile() -> None:
    assert math.isnan(histogram.quantile(np.zeros(0, np.int32), np.zeros(0, np.int64), 0.5))


def test_a_scale_out_of_range_is_refused() -> None:
    with pytest.raises(histogram.ScaleOutOfRange):
        histogram.bucket(np.array([1.0]), 9)
