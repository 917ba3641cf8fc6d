"""Kafka Streams beside ours: figures of runs beside each other, and results that are not right are refused."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import pytest

from bench import kstreams
from bench.comparison import Run
from bench.outcome import WrongOutcome


def run(per_s: float, cpu_us: float = 1.0) -> Run:
    return Run(per_s, cpu_us, 100.0, 1)


def test_ratios_are_of_runs_beside_each_other():
    found = {
        "tocsin": [run(200.0), run(300.0)],
        "at_least_once": [run(100.0), run(300.0)],
        "exactly_once_v2": [run(50.0), run(50.0)],
    }
    figures = {figure.name: figure for figure in kstreams.figures(found)}
    assert figures["single_vs_kstreams_ratio"].samples == (2.0, 1.0)
    assert figures["single_vs_kstreams_ratio"].goal == ">= 1.2"
    assert figures["single_vs_kstreams_eos_ratio"].samples == (4.0, 6.0)


def test_a_guarantee_without_its_runs_is_refused():
    with pytest.raises(ValueError, match="argument"):
        kstreams.figures({"tocsin": [run(1.0)], "at_least_once": [], "exactly_once_v2": [run(1.0)]})


@pytest.mark.parametrize(("count", "right"), [(5, True), (4, False), (6, False)])
def test_results_must_be_all_and_right(monkeypatch, count, right):
    class Read:
        newest = {("a", 0): {"count": count}}  # noqa: RUF012 - one reader of one test

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def read(self) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr(kstreams, "Results", Read)
    monkeypatch.setattr(kstreams, "SETTLE_S", -1.0)
    rig, results = SimpleNamespace(bootstrap=""), SimpleNamespace(results="")
    judged = functools.partial(kstreams.judged, rig, results, {("a", 0): {"count": 5}}, 5)
    if right:
        assert judged() == 5
    else:
        with pytest.raises(WrongOutcome, match="count is"):
            judged()
