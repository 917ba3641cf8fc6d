"""Flink beside ours: figures of runs beside each other, and a program that compiles against its packages."""

from __future__ import annotations

import pytest

from bench import flink
from bench.comparison import Run


def run(per_s: float, cpu_us: float = 1.0) -> Run:
    return Run(per_s, cpu_us, 100.0, 1)


def test_ratios_are_of_runs_beside_each_other():
    figures = {f.name: f for f in flink.figures([run(200.0), run(300.0)], [run(100.0, 2.0), run(300.0, 4.0)])}
    assert figures["single_vs_flink_ratio"].samples == (2.0, 1.0)
    assert figures["single_cpu_vs_flink_ratio"].samples == (0.5, 0.25)


def test_a_run_without_its_partner_is_refused():
    with pytest.raises(ValueError, match="argument"):
        flink.figures([run(1.0)], [])


@pytest.mark.slow
def test_the_program_compiles(tmp_path):
    assert flink.peer(tmp_path).program.endswith("java")
    assert (tmp_path / "FlinkWindows.class").exists()
