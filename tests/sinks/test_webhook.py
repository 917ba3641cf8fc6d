"""The webhook's body: Alertmanager's version 4."""

from __future__ import annotations

import json

import pytest

from sinks import limits
from sinks.fakes.webhook import problems
from sinks.port import Unsendable
from sinks.webhook import NEVER, Webhook
from tests.sinks.build import PAGE, notification, with_details

SINK = Webhook("team", "https://hooks.example/x", "token", "https://tocsin.example/")


def test_firing() -> None:
    request = SINK.request(PAGE)
    assert request.headers == {
        "content-type": "application/json",
        "idempotency-key": "n1",
        "authorization": "Bearer token",
    }
    body = json.loads(request.body)
    labels = {"alertname": "checkout", "severity": "page", "slo": "checkout", "service": "shop"}
    annotations = {
        "since": "2023-11-14T22:12:00Z",
        "explain": "tocsin explain incident-1",
        "summary": "checkout burns 14.4x",
    }
    assert body == {
        "version": "4",
        "groupKey": "incident-1",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "team",
        "groupLabels": {"slo": "checkout", "service": "shop"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "https://tocsin.example/",
        "notification_reason": "first_notification",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": "2023-11-14T22:12:00Z",
                "endsAt": NEVER,
                "generatorURL": "https://tocsin.example/",
                "fingerprint": "incident-1",
            }
        ],
    }
    assert problems(body) == []


def test_resolved_keeps_the_group_and_ends_at_event_time() -> None:
    body = SINK.body(notification(action="resolve"))
    assert (body["status"], body["groupKey"]) == ("resolved", "incident-1")
    (alert,) = body["alerts"]  # type: ignore[misc]
    assert alert["endsAt"] == "2023-11-14T22:13:20.123Z"  # type: ignore[index]


def test_without_a_token_there_is_no_header() -> None:
    assert "authorization" not in Webhook("team", "https://x/").request(PAGE).headers


def test_too_much_is_not_sent() -> None:
    with pytest.raises(Unsendable, match="1,048,576"):
        SINK.request(with_details({"x": "y" * limits.WEBHOOK_BODY_BYTES_MAX}))
