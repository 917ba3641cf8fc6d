"""Figures out of runs.

What: ratios of runs beside each other. Why: a ratio of medians hides a machine that changed between them. It refuses to
measure.
"""

from __future__ import annotations

import pytest

from bench.suite import FULL, PARTS, QUICK, single_figures
from bench.throughput import Rate


def rate(per_s: float, rss: float = 100.0, peak: float = 150.0) -> Rate:
    return Rate(per_s, rss, peak, 3.0, 0.9, {})


def test_ratios_are_of_runs_beside_each_other():
    few, many = [rate(200.0), rate(100.0), rate(400.0)], [rate(190.0), rate(98.0), rate(360.0)]
    figures = {f.name: f for f in single_figures(few, [2.0, 2.0, 2.0], many)}
    assert figures["single_vs_faust_ratio"].samples == (100.0, 50.0, 200.0)
    assert figures["series_growth_ratio"].value == pytest.approx(0.95)
    assert figures["series_growth_ratio"].reached
    assert figures["single_events_per_s"].value == 200.0


def test_runs_without_a_partner_are_refused():
    with pytest.raises(ValueError, match="argument"):
        single_figures([rate(1.0)], [1.0, 2.0], [rate(1.0)])


def test_the_full_size_repeats_and_the_quick_one_does_not():
    assert FULL.runs >= 3
    assert QUICK.runs == 1
    assert set(PARTS) == {"singles", "batches", "pages", "takeover", "detection"}
