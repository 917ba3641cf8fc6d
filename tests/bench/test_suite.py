"""Figures out of runs.

What: ratios of runs beside each other. Why: a ratio of medians hides a machine that changed between them. It refuses to
measure.
"""

from __future__ import annotations

import pytest

from bench.suite import FULL, PARTS, QUICK, QUICK_PARTS, batch_figures, single_figures
from bench.throughput import Rate


def rate(per_s: float, rss: float = 100.0, peak: float = 150.0) -> Rate:
    return Rate(per_s, rss, peak, 3.0, 0.9, {})


def test_ratios_are_of_runs_beside_each_other():
    few, many = [rate(200.0), rate(100.0), rate(400.0)], [rate(190.0), rate(98.0), rate(360.0)]
    figures = {f.name: f for f in single_figures(few, many)}
    assert figures["series_growth_ratio"].samples == pytest.approx((0.95, 0.98, 0.9))
    assert figures["series_growth_ratio"].reached
    assert figures["single_events_per_s"].value == 200.0


def test_runs_without_a_partner_are_refused():
    with pytest.raises(ValueError, match="argument"):
        single_figures([rate(1.0)], [rate(1.0), rate(2.0)])


def test_the_full_size_repeats_and_the_quick_one_does_not():
    assert FULL.runs >= 3
    assert QUICK.runs == 1
    assert set(QUICK_PARTS) < set(PARTS)


def test_a_core_is_one_of_the_workers_own_time():
    figures = {f.name: f for f in batch_figures([Rate(4e6, 1.0, 1.0, 1.0, 0.8, {})], [8e6])}
    assert figures["batch_measurements_per_s_per_core"].value == pytest.approx(5e6)
    assert figures["batch_vs_consumer_ratio"].value == 0.5
