"""The stateful PagerDuty: documented limits, incidents, throttle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sinks.fakes.pagerduty import PagerDutyFake, problems
from sinks.fakes.receiver import Reply

KEY = "k" * 32


def event(action: str = "trigger", key: str = "a", **other: object) -> dict[str, Any]:
    found: dict[str, Any] = {"routing_key": KEY, "event_action": action, "dedup_key": key}
    if action == "trigger":
        found["payload"] = {
            "summary": "s",
            "source": "x",
            "severity": "critical",
            "timestamp": "2023-11-14T22:13:20.123Z",
        }
    return {**found, **other}


@pytest.fixture
def pager() -> Iterator[PagerDutyFake]:
    fake = PagerDutyFake()
    yield fake
    fake.stop()


def told(pager: PagerDutyFake, body: object, at_ms: int = 0) -> Reply:
    return pager.reply("/v2/enqueue", json.dumps(body).encode(), at_ms)


def test_a_life(pager: PagerDutyFake) -> None:
    for at, action in enumerate(["trigger", "trigger", "acknowledge", "resolve"]):
        reply = told(pager, event(action), at)
        assert reply.status == 202
        assert reply.body == {"status": "success", "message": "Event processed", "dedup_key": "a"}
    (incident,) = pager.incidents
    assert (incident.status, incident.opened_ms, incident.resolved_ms) == ("resolved", 0, 3)
    assert incident.told == [(0, "trigger"), (1, "trigger"), (2, "acknowledge"), (3, "resolve")]


def test_a_trigger_after_the_end_opens_anew(pager: PagerDutyFake) -> None:
    for action in ("trigger", "resolve", "trigger"):
        told(pager, event(action))
    assert [incident.status for incident in pager.incidents] == ["resolved", "triggered"]


def test_ends_without_a_beginning_are_dropped(pager: PagerDutyFake) -> None:
    told(pager, event())
    assert told(pager, event("resolve", "b")).status == 202
    assert told(pager, event("acknowledge", routing_key="x" * 32)).status == 202
    assert len(pager.dropped) == 2
    assert [incident.status for incident in pager.incidents] == ["triggered"]


def test_without_a_key_it_makes_one(pager: PagerDutyFake) -> None:
    body = event()
    del body["dedup_key"]
    keys = {str(told(pager, body).body["dedup_key"]) for _ in range(2)}
    assert len(keys) == len(pager.incidents) == 2


def test_the_limit_slides(pager: PagerDutyFake) -> None:
    replies = [told(pager, event(key=str(n)), n * 100) for n in range(130)]
    assert [reply.status for reply in replies] == [202] * 120 + [429] * 10
    assert replies[-1].headers["retry-after"] == "48"  # the first is forgotten at 60 s, and it is 12.9 s
    assert not replies[-1].taken
    assert told(pager, event(routing_key="x" * 32), 12_900).status == 202  # each key has its own
    assert told(pager, event(), 59_999).status == 429
    assert told(pager, event(), 60_000).status == 202
    assert told(pager, event(), 60_000).status == 429


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"routing_key": "short"}, "routing_key"),
        ({"routing_key": None}, "routing_key"),
        ({"event_action": "shout"}, "event_action"),
        ({"dedup_key": "x" * 256}, "dedup_key"),
        ({"payload": None}, "payload"),
        ({"payload": {"summary": "x" * 1025, "source": "s", "severity": "info"}}, "summary"),
        ({"payload": {"summary": "s", "severity": "info"}}, "source"),
        ({"payload": {"summary": "s", "source": "s", "severity": "page"}}, "severity"),
        ({"payload": {"summary": "s", "source": "s", "severity": "info", "timestamp": "noon"}}, "timestamp"),
        ({"payload": {"summary": "s", "source": "s", "severity": "info", "custom_details": "x"}}, "custom_details"),
        ({"links": [{"text": "x"}]}, "links"),
        ({"images": "x"}, "images"),
    ],
)
def test_what_the_documents_refuse(pager: PagerDutyFake, change: dict[str, object], complaint: str) -> None:
    reply = told(pager, event(**change))
    assert reply.status == 400
    assert complaint in str(reply.body["errors"])
    assert pager.incidents == []


def test_what_is_no_event(pager: PagerDutyFake) -> None:
    assert told(pager, []).status == 400
    assert pager.reply("/v2/enqueue", b"{", 0).status == 400
    assert pager.reply("/v2/other", b"{}", 0).status == 404
    assert told(pager, event(padding="x" * 600_000)).status == 400
    assert problems(event()) == []
