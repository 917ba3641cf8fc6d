"""Comparison: ratios of runs beside each other, and a peer that is absent.

What: figures of made-up runs. Why: a ratio of medians hides a machine that changed between them. It refuses to start
anything.
"""

from __future__ import annotations

import pytest

from bench.comparison import FIRST_WINDOW_MS, RATE, Run, ending, figures
from bench.peers.work import WINDOW_MS


def runs(*rates: float) -> list[Run]:
    return [Run(rate, 2.0, 100.0, 10) for rate in rates]


def test_ratios_are_of_runs_beside_each_other():
    found = {"tocsin": runs(200, 100, 400), "quix": runs(20, 5, 40)}
    told = {figure.name: figure for figure in figures(found, [100.0, 100.0, 100.0])}
    assert told["single_vs_quix_ratio"].samples == (10, 20, 10)
    assert told["single_vs_quix_ratio"].reached
    assert told["single_vs_consumer_ratio"].value == 2.0
    assert told["single_events_per_s_tocsin"].value == 200


def test_a_peer_that_did_not_run_has_no_figure():
    told = {figure.name for figure in figures({"tocsin": runs(1.0)}, [1.0])}
    assert not {name for name in told if "quix" in name}


def test_runs_without_a_partner_are_refused():
    with pytest.raises(ValueError, match="argument"):
        figures({"tocsin": runs(1.0), "quix": runs(1.0, 2.0)}, [1.0])


@pytest.mark.parametrize("now_ms", [1_800_000_000_000, 1_800_000_004_321, 1_800_000_009_999])
def test_the_first_window_is_short_and_the_end_is_near(now_ms):
    end_ms = ending(now_ms, 100_000)
    begin_ms = end_ms - 1000 * 100_000 / RATE
    assert WINDOW_MS - begin_ms % WINDOW_MS == FIRST_WINDOW_MS
    assert now_ms - WINDOW_MS < end_ms <= now_ms
