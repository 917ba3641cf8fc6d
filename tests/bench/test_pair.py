"""Pair: what is left, who was busy, and the ratio.

What: made-up metrics and looks. Why: partitions on their way between two workers must not count as progress. It refuses
to start workers.
"""

from __future__ import annotations

import pytest

from bench.pair import Look, Together, busy, figures, left_over
from bench.rig import Metrics
from bench.throughput import Rate


class Told:
    def __init__(self, **lags: float) -> None:
        self._lags = lags

    def metrics(self) -> Metrics:
        return Metrics(
            {f"tocsin_lag_records{{partition={name[1:]},stage=aggregate}}": n for name, n in self._lags.items()}
        )


def test_what_is_left_is_known_only_while_all_partitions_are_held_once_and_by_both():
    assert left_over([Told(p0=5, p1=1), Told(p2=0, p3=2)]) == 8
    assert left_over([Told(p0=5, p1=1, p2=0, p3=2), Told()]) is None
    assert left_over([Told(p0=5, p1=1), Told(p2=0)]) is None
    assert left_over([Told(p0=5, p1=1, p2=0), Told(p2=0, p3=2)]) is None


def test_cores_are_seconds_by_seconds():
    assert busy(Look(10.0, 1.0, 1.0, 5.0), Look(12.0, 4.0, 1.5, 9.0)) == (1.5, 0.25, 2.0)


def test_ratios_are_of_runs_beside_each_other():
    one = [Rate(100.0, 1.0, 1.0, 1.0, 0.9, {}), Rate(200.0, 1.0, 1.0, 1.0, 0.8, {})]
    (ratio,) = figures(one, [Together(170.0, 1.6, 0.2, 1.9), Together(320.0, 1.5, 0.2, 1.9)])
    assert ratio.samples == pytest.approx((1.7, 1.6))
    assert ratio.reached
    assert "0.20 in the broker" in ratio.baseline
