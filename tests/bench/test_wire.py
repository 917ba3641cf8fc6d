"""Wire: the load is what it says, nothing of it is missing on either side, and both are counted in the same way."""

from __future__ import annotations

import pytest

from bench import wire
from bench.outcome import WrongOutcome
from tests.fleet.reader import measurements


def test_the_load_comes_at_its_rate_and_is_the_same_each_time() -> None:
    load = wire.requests(100)
    assert len(load) == pytest.approx(100 * wire.LENGTH_S, rel=0.05)
    assert load == wire.requests(100)
    assert {one.route for one in load} == set(range(wire.SERIES))
    assert sum(map(len, wire.intervals(load, wire.FLUSH_S))) == len(load)


def test_each_flush_is_a_batch_of_its_own_with_all_values() -> None:
    load = wire.requests(100, 5.0)
    values = wire.batches(load)
    assert len(values) == 10
    found = measurements(values)
    assert [one.value for one in found] == [one.took_ms for one in load]
    assert [one.time_ms - wire.BASE_MS for one in found] == [int(one.at_s * 1_000) for one in load]


def test_a_larger_batch_costs_less_a_measurement() -> None:
    few, many = wire.sizes(100, 5.0), wire.sizes(1_000, 5.0)
    assert many.ours < few.ours < many.ours * 3
    assert few.otlp_own < few.otlp, "one export of all"


def test_what_is_missing_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "intervals", lambda load, every_s: iter([load[:-1]]))
    load = wire.requests(100, 1.0)
    with pytest.raises(WrongOutcome):
        wire.batches(load)
    with pytest.raises(WrongOutcome):
        wire.exports(load, 1.0)


def test_figures_have_no_goal_and_name_both_intervals() -> None:
    ours, other = wire.drawn(wire.Sizes(100, 18.4, 24.6, 0.6))
    assert (ours.name, ours.value, ours.goal) == ("client_bytes_per_measurement_100_per_s", 18.4, "")
    assert (other.name, other.value, other.reached) == ("otlp_bytes_per_measurement_100_per_s", 24.6, None)
    assert "24.6" in ours.baseline
    assert "each 60 s, its default, 0.60" in other.baseline
