"""Gateway: figures out of runs, and the refusals of the measurement."""

from __future__ import annotations

import pytest

from bench import attack, gateway, posting
from bench.gateway import Run, checked, drawn, held_off
from bench.outcome import WrongOutcome

ORDER = posting.Order(url="", source="s", requests=100)


def run(stored: int = 100, p99: float = 50.0, cores: float = 0.1, peak: float = 100.0) -> Run:
    return Run(posting.Posted(1.0, stored, {"200": 100}, 1.0, p99, p99, cores), 900.0, peak)


def test_a_run_counts_only_when_every_record_is_stored_once():
    assert checked(run(), ORDER, 100) == run()
    for stored, records in ((99, 100), (100, 99), (100, 101)):
        with pytest.raises(WrongOutcome, match="in the topic"):
            checked(run(stored), ORDER, records)


def test_a_run_whose_clients_were_the_limit_does_not_count():
    with pytest.raises(WrongOutcome, match="clients"):
        checked(run(cores=0.95), ORDER, 100)


def test_an_attack_that_was_none_does_not_count():
    held_off(attack.Attacked(1_000, 1_000, {}), attack.Order("", slow=1_000))
    held_off(attack.Attacked(0, 0, {"413": 3, "400": 2}), attack.Order("", bombs_s=1.0))
    for done, asked in (
        (attack.Attacked(999, 2_000, {}), attack.Order("", slow=1_000)),
        (attack.Attacked(0, 0, {}), attack.Order("", bombs_s=1.0)),
        (attack.Attacked(0, 0, {"413": 3, "200": 1}), attack.Order("", bombs_s=1.0)),
    ):
        with pytest.raises(WrongOutcome):
            held_off(done, asked)


def test_the_ratio_is_that_of_the_worse_attack_in_the_same_run():
    found = {
        "closed loop": [run(), run()],
        "as the client sends": [run(), run(peak=200.0)],
        "paced": [run(p99=10.0), run(p99=20.0)],
        "slow connections": [run(p99=15.0), run(p99=20.0)],
        "bombs": [run(p99=12.0), run(p99=80.0)],
    }
    figures = {figure.name: figure for figure in drawn(found)}
    ratio = figures["gateway_p99_under_attack_ratio"]
    assert ratio.samples == (1.5, 4.0)
    assert ratio.reached is False
    assert figures["gateway_peak_rss_mb"].samples == (100.0, 200.0)
    assert figures["gateway_measurements_per_s"].samples == (50_000.0, 50_000.0)


def test_the_quick_form_is_small():
    assert gateway.QUICK.batches < gateway.FULL.batches
    assert gateway.QUICK.away_s < gateway.FULL.away_s
