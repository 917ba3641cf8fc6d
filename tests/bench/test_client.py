"""Client: figures out of runs, and the refusals of the measurement."""

from __future__ import annotations

import json

import pytest

from bench import client
from bench.outcome import WrongOutcome


def runs(*timing: float) -> list[dict[str, float]]:
    return [{"timing_ns": value, "counter_ns": 2 * value} for value in timing]


def test_ratios_are_against_the_cheapest_of_the_others_in_the_same_run() -> None:
    timed = {
        "tocsin": runs(200, 400),
        "opentelemetry": runs(9000, 9000),
        "prometheus": runs(600, 700),
        "statsd": runs(500, 900),
    }
    imports = {library: [(10.0, 9.0)] for library in client.LIBRARIES}
    wire = {"gzip": 9.5, "lz4": 10.1, "plain": 17.0}
    found = {figure.name: figure for figure in client.drawn(timed, imports, wire, [(6e5, 0.9, 7)])}
    assert found["client_call_vs_cheapest_ratio"].samples == (2.5, 1.75)
    assert found["client_call_ns"].samples == (200, 400)
    assert "statsd 700 ns" in found["client_call_ns"].baseline
    assert all(figure.reached for figure in found.values() if figure.name != "client_count_ns")
    assert not found["client_count_ns"].reached


def test_calls_that_recorded_nothing_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"timing_ns": 1.0, "counter_ns": 1.0, "refused": 3}
    monkeypatch.setattr(client, "_python", lambda words: json.dumps(told))
    with pytest.raises(WrongOutcome, match="refused"):
        client.calls("tocsin")
    told["refused"] = 0
    assert client.calls("tocsin") == {"timing_ns": 1.0, "counter_ns": 1.0}


def test_without_the_peers_environment_it_says_what_makes_it(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(client, "PEERS_PYTHON", tmp_path / "python")
    with pytest.raises(client.PeersMissing, match="make peers"):
        client.calls("tocsin")


def test_a_measurement_takes_few_bytes() -> None:
    found = client.wire_bytes()
    assert found["gzip"] < found["plain"]
    assert found["gzip"] <= 12
