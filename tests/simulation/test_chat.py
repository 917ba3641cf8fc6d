"""Slack behind whole workers that are killed as they tell it: one message an incident, each change once."""

from __future__ import annotations

import pytest

from sinks.port import Before
from tests.simulation import scenario
from tests.simulation.chat import ChatWorld, chatter
from tests.simulation.faults import Fault
from tests.simulation.runs import silence

SEEDS = range(3)
#: Killed once Slack has it and before the worker hears so; and while Slack fails, having taken it or not.
FAULTS = [Fault(0.5 + 0.6 * n, "told", n, 0.0) for n in range(8)] + [Fault(3.0, "outage", 1, 0.9)]


def played(seed: int) -> tuple[list[str], list[str]]:
    with silence():
        world = ChatWorld(seed, FAULTS, seed % scenario.SCENARIOS).run()
        return [*world.findings, *chatter(world)], world.deaths


@pytest.mark.parametrize("seed", SEEDS)
def test_each_incident_is_one_message_and_each_change_is_told_once(seed: int) -> None:
    findings, deaths = played(seed)
    assert not findings
    assert deaths.count("told") >= 2


def test_a_bot_that_does_not_look_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.outbox.Before", lambda *given: Before(given[0], False, *given[2:]))
    assert any("chat: " in finding for seed in SEEDS for finding in played(seed)[0])
