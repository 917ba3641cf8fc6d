"""A histogram as values: count, sum and the share below each bound are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cumulative import Counts
from gateway.otlp.spread import buckets_of, spread

BOUNDS = (0.005, 0.1, 0.3, 1.0, 2.5)
VALUES = st.lists(st.floats(0, 20), min_size=1, max_size=60)


def explicit(values) -> Counts:
    """As an SDK counts: upper bounds belong to their bucket."""
    places = np.searchsorted(BOUNDS, values, side="left")
    return Counts({(0, place): int((places == place).sum()) for place in range(len(BOUNDS) + 1)}, None, BOUNDS)


@given(VALUES, st.booleans())
@settings(max_examples=200, deadline=None)
def test_explicit_buckets(values, known):
    low, high = (min(values), max(values)) if known else (None, None)
    total = float(np.sum(values))
    found = spread(buckets_of(explicit(values), low, high, total), total)
    assert len(found) == len(values)
    assert (np.diff(found) >= 0).all()
    assert float(found.sum()) == pytest.approx(total, rel=1e-6, abs=1e-6)
    for bound in BOUNDS:
        assert int((found <= bound).sum()) == sum(value <= bound for value in values), bound


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(-2, 8))
@settings(max_examples=200, deadline=None)
def test_exponential_buckets(values, scale):
    counts: dict = {}
    for value in values:
        if abs(value) < 1e-9:
            key = (0, 0)
        else:
            key = (1 if value > 0 else -1, int(np.ceil(np.log2(abs(value)) * 2.0**scale)) - 1)
        counts[key] = counts.get(key, 0) + 1
    total = float(np.sum(values))
    found = spread(buckets_of(Counts(counts, scale), min(values), max(values), total), total)
    assert len(found) == len(values)
    width = 2.0 ** (2.0**-scale)
    ordered = np.sort(values)
    near = np.abs(ordered) > 1e-9
    assert (np.abs(found[near]) <= np.abs(ordered[near]) * width * 1.000001).all()
    assert (np.abs(found[near]) * width * 1.000001 >= np.abs(ordered[near])).all()


def test_without_a_sum_the_upper_edge_stands_for_its_bucket():
    assert spread(buckets_of(Counts({(0, 1): 2}, None, (1.0, 2.0)), None, None, None), None).tolist() == [2.0, 2.0]


def test_a_sum_that_cannot_be_is_no_reason_to_leave_the_bucket():
    found = spread(buckets_of(Counts({(0, 1): 2}, None, (1.0, 2.0)), None, None, 99.0), 99.0)
    assert ((found > 1) & (found <= 2)).all()


def test_nothing_stands_for_nothing():
    assert len(spread(buckets_of(Counts({(0, 0): 0, (0, 1): 0}, None, (1.0,)), None, None, 0.0), 0.0)) == 0


def test_a_bucket_beyond_every_number():
    with pytest.raises(OverflowError):
        buckets_of(Counts({(1, 2_000_000): 1}, 0), None, None, None)
