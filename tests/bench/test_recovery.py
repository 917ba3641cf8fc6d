"""Recovery beside others: when a kill falls, what a kill cost, and whose partitions it took.

What: arithmetic of windows; losses and repeats that do not cancel out; figures; who holds what, from a made-up group. Why:
a time without what it cost is half a story. It refuses to kill anything.
"""

from __future__ import annotations

import pathlib
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from bench import recovery
from bench.peer import FAUST
from bench.recovery import BEFORE_S, WINDOW_S, Engine, Recovered, differences, figures, held, next_window_s
from bench.workloads import PARTITIONS, key_of
from streams import topics

ENGINE = Engine("faust", "stock Faust", FAUST, 60.0, {})


@pytest.mark.parametrize("now_s", [0.0, 9.4, 9.5, 9.6, 1_800_000_003.25])
def test_the_next_window_is_ahead_by_what_the_kill_needs(now_s):
    begins = next_window_s(now_s)
    assert begins % WINDOW_S == 0
    assert BEFORE_S <= begins - now_s <= WINDOW_S + BEFORE_S


def test_losses_and_repeats_do_not_cancel_out():
    truth = {("a", 0): 5, ("a", 10): 5, ("b", 0): 1}
    assert differences(truth, truth) == (0, 0)
    assert differences(truth, {("a", 0): 4, ("a", 10): 6}) == (2, 1)
    assert differences(truth, {**truth, ("c", 0): 2}) == (0, 2)


def test_figures_tell_the_time_and_what_the_kill_cost():
    found = [Recovered(70.0, 10, 20, 1_000), Recovered(66.0, 0, 10, 1_000)]
    time_of, cost = figures("faust", ENGINE, 60.0, found)
    assert (time_of.name, time_of.samples) == ("kill_to_rollup_faust_s", (70.0, 66.0))
    assert "its own default" in time_of.baseline
    assert (cost.name, cost.samples) == ("kill_cost_faust_percent", (3.0, 1.0))
    assert "as ours" in figures("faust_equal", ENGINE, 6.0, found)[0].baseline


def place(topic: str, partition: int) -> SimpleNamespace:
    return SimpleNamespace(topic=topic, partition=partition)


def test_who_holds_what_whatever_an_engine_adds_to_its_client(monkeypatch):
    members = [
        ("one-StreamThread-1-consumer", [place(topics.TELEMETRY, 0), place("other", 3)]),
        ("one-StreamThread-2-consumer", [place(topics.TELEMETRY, 2)]),
        ("two", [place(topics.TELEMETRY, 1)]),
    ]
    told: Future = Future()
    told.set_result(
        SimpleNamespace(
            members=[
                SimpleNamespace(client_id=client, assignment=SimpleNamespace(topic_partitions=places))
                for client, places in members
            ]
        )
    )
    client = SimpleNamespace(describe_consumer_groups=lambda names: dict.fromkeys(names, told))
    monkeypatch.setattr(topics, "admin", lambda _bootstrap: client)
    assert held("", "group") == {"one": {0, 2}, "two": {1}}


class Topic:
    """Stands for a consumer of results."""

    def __init__(self, results):
        self.results = results

    def assign(self, _places):
        pass

    def consume(self, _most, _seconds):
        taken, self.results = self.results, []
        return [
            SimpleNamespace(key=lambda k=key: k.encode(), value=lambda v=value: v, error=lambda: None)
            for key, value in taken
        ]


def test_a_window_is_new_in_its_own_partition_only(monkeypatch):
    topic = Topic(
        [(key_of(PARTITIONS + 1), b'{"start_ms": 20000, "count": 3}'), (key_of(2), b'{"start_ms": 10000, "count": 1}')]
    )
    monkeypatch.setattr(recovery, "SERIES", 2 * PARTITIONS)
    monkeypatch.setattr(recovery, "Consumer", lambda _settings: topic)
    watch = recovery.Watch("", "results")
    watch.settle()
    assert watch.counts == {(key_of(PARTITIONS + 1), 20_000): 3, (key_of(2), 10_000): 1}
    assert watch.reached([1], 20_000)
    assert not watch.reached([1, 2], 20_000)


@pytest.mark.slow
def test_the_programs_compile(tmp_path: pathlib.Path):
    assert [engine.name for engine in recovery.engines(tmp_path)] == ["faust", "kstreams", "kstreams_eos"]
