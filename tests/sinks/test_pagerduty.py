"""PagerDuty's events: fields, limits, event time."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks import limits
from sinks.fakes.pagerduty import problems
from sinks.pagerduty import ENQUEUE, PagerDuty, dedup_key, iso
from sinks.port import Unsendable
from tests.sinks.build import PAGE, notification, with_details

SINK = PagerDuty("k" * 32, client_url="https://tocsin.example/")


def event(record: object = PAGE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SINK.request(record).body)  # type: ignore[arg-type]
    return found


def test_a_trigger_has_every_documented_field() -> None:
    assert SINK.request(PAGE).url == ENQUEUE
    assert event(with_details({**PAGE.details, "runbook": "https://wiki/x"})) == {
        "routing_key": "k" * 32,
        "event_action": "trigger",
        "dedup_key": "incident-1",
        "client": "Tocsin",
        "client_url": "https://tocsin.example/",
        "links": [{"href": "https://wiki/x", "text": "runbook"}],
        "payload": {
            "summary": "checkout burns 14.4x",
            "source": "checkout",
            "severity": "critical",
            "timestamp": "2023-11-14T22:13:20.123Z",
            "component": "shop",
            "class": "slo burn",
            "custom_details": {**PAGE.details, "runbook": "https://wiki/x", "notification": "n1"},
        },
    }


@pytest.mark.parametrize(
    ("action", "sent"), [("update", "trigger"), ("acknowledge", "acknowledge"), ("resolve", "resolve")]
)
def test_actions(action: str, sent: str) -> None:
    assert event(notification(action=action))["event_action"] == sent


def test_an_end_carries_no_payload() -> None:
    assert set(event(notification(action="resolve"))) == {"routing_key", "event_action", "dedup_key"}


@pytest.mark.parametrize(
    ("severity", "sent"), [("page", "critical"), ("ticket", "warning"), ("none", "info"), ("?", "error")]
)
def test_severities(severity: str, sent: str) -> None:
    assert event(notification(severity=severity))["payload"]["severity"] == sent


def test_the_time_is_the_events() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(-1) == "1969-12-31T23:59:59.999Z"


def test_long_keys_stay_apart() -> None:
    long = "x" * 255
    assert dedup_key(long) == long
    one, other = dedup_key(long + "1"), dedup_key(long + "2")
    assert len(one) == len(other) == 255
    assert one != other


def test_no_link_is_made_of_what_is_no_address() -> None:
    assert "links" not in event(with_details({"runbook": "javascript:alert(1)", "explain": "tocsin explain x"}))


def test_details_that_do_not_fit_are_left_out_by_name() -> None:
    request = SINK.request(with_details({f"d{n}": "ü" * 100_000 for n in range(4)} | {"small": "kept"}))
    assert len(request.body) <= limits.PAGERDUTY_EVENT_BYTES_MAX
    details = json.loads(request.body)["payload"]["custom_details"]
    assert details["small"] == "kept"
    assert details["left_out"].startswith("d0")


def test_what_cannot_be_made_to_fit_is_said_so() -> None:
    with pytest.raises(Unsendable, match="more than PagerDuty takes"):
        PagerDuty("k" * 600_000).request(notification(action="resolve"))


TEXT = st.text(max_size=3_000)


@given(TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=5), st.integers(0, 4 * 10**12))
def test_whatever_is_told_keeps_to_the_documents(
    summary: str, source: str, key: str, details: dict[str, str], at: int
) -> None:
    record = dataclasses.replace(
        PAGE, summary=summary, source=source, dedup_key=key or "x", details=details, event_ms=at
    )
    assert problems(event(record)) == []
