"""A replay that says anything else than the topic is seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proof import replay
from schemas import codec
from schemas.records import AlertTransition
from streams import topics
from streams.records import Record
from tests.simulation import scenario
from tests.simulation.oracle import logs
from tests.simulation.platform import SETTINGS
from tests.simulation.runs import played

ONE, TWO = ("a", 0), ("a", 1)
SAID = {ONE: b"rise", TWO: b"fall"}


def test_what_differs_is_named() -> None:
    assert replay.differ(SAID, SAID, SAID) == []
    assert replay.differ({ONE: b"rise"}, SAID, SAID) == []  # came while it was read
    assert replay.differ(SAID, {ONE: b"rise"}, SAID) == ["a replay does not say ('a', 1)"]
    assert replay.differ({}, SAID, {ONE: b"rise"}) == ["only a replay says ('a', 1)"]
    assert replay.differ(SAID, SAID | {TWO: b"fell"}, SAID) == ["a replay says ('a', 1) in other bytes"]


def test_what_the_replay_says_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "LOOK_S", 0.0)
    looks: Iterator[dict[tuple[str, int], bytes]] = iter([{}, {ONE: b"rise"}, SAID])
    assert replay.settled({}, SAID, lambda: (dict(next(looks)), [])) == []
    monkeypatch.setattr(replay, "COME_MAX_S", 0.0)
    assert replay.settled({}, SAID, lambda: ({}, ["twice"]))[0] == "twice"


def test_the_partials_of_a_run_give_its_alerts_and_fewer_partials_do_not() -> None:
    world = played(0, [])
    found: dict[tuple[str, int], bytes] = {}
    for _, records in logs(world, topics.ALERTS):
        found |= {name: value for record in records for name, value in replay.transition(record.value)}
    assert any(isinstance(codec.decode(value), AlertTransition) for value in found.values())
    said: dict[tuple[str, int], bytes] = {}
    less: dict[tuple[str, int], bytes] = {}
    for p, records in logs(world, topics.PARTIALS):
        log = [Record(record.offset, record.timestamp_ms, record.value, None) for record in records]
        said |= replay.said(iter(log), replay.fresh(p, SETTINGS, scenario.CONFIG))
        less |= replay.said(iter(log[: len(log) // 3]), replay.fresh(p, SETTINGS, scenario.CONFIG))
    assert replay.differ(found, said, found) == []
    assert replay.differ(found, less, found) != []
