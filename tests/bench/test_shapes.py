"""Shapes: ratios of runs beside each other.

What: made-up rates. Why: a ratio of medians hides a machine that changed between them. It refuses to start workers.
"""

from __future__ import annotations

import pytest

from bench.shapes import ratios
from bench.throughput import Rate


def rates(*per_s: float) -> list[Rate]:
    return [Rate(each, 1.0, 1.0, 1.0, 0.9, {}) for each in per_s]


def test_ratios_are_of_runs_beside_each_other():
    assert ratios(rates(90, 40), rates(100, 50)) == pytest.approx((0.9, 0.8))
    with pytest.raises(ValueError, match="argument"):
        ratios(rates(1), rates(1, 2))
