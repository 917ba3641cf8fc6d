"""Bigger: ratios are of runs beside each other, and a run without its partner is refused."""

from __future__ import annotations

import pytest

from bench import bigger
from bench.comparison import Run


def run(per_s: float, cpu_us: float = 1.0) -> Run:
    return Run(per_s, cpu_us, 100.0, 1)


def test_a_million_series_beside_each_peer():
    found = {
        "tocsin": [run(200.0), run(300.0)],
        "kstreams": [run(100.0, 2.0), run(300.0, 4.0)],
        "flink": [run(400.0), run(100.0)],
    }
    figures = {figure.name: figure for figure in bigger.million_figures(found)}
    assert figures["series_1m_vs_kstreams_ratio"].samples == (2.0, 1.0)
    assert figures["series_1m_vs_flink_ratio"].samples == (0.5, 3.0)
    assert figures["series_1m_cpu_vs_kstreams_ratio"].samples == (0.5, 0.25)


def test_two_workers_beside_each_peer():
    figures = {figure.name: figure for figure in bigger.two_figures([200.0], [100.0], [400.0])}
    assert figures["two_workers_vs_kstreams_ratio"].samples == (2.0,)
    assert figures["two_workers_vs_flink_ratio"].samples == (0.5,)
    with pytest.raises(ValueError, match="argument"):
        bigger.two_figures([200.0], [100.0, 1.0], [400.0])
