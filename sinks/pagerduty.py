"""PagerDuty, Events API v2: a notification as a trigger, an acknowledgement or a resolution.

What: one JSON event a request, within the documented field limits. Why event time: `payload.timestamp` is when the burn
was detected in the data, so that the incident's time line is the data's and not the network's. The incident's id is the
dedup key: a repeat updates the open incident and wakes nobody twice. It refuses to cut silently: what is shortened
ends in an ellipsis, and custom details that do not fit are named.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import urllib.parse
from collections.abc import Mapping

from schemas.records import NotificationRecord
from sinks import limits
from sinks.port import Answer, Outcome, Request, Unsendable, shortened
from sinks.status import outcome_of

ENQUEUE = "https://events.pagerduty.com/v2/enqueue"
SEVERITIES: Mapping[str, str] = {"page": "critical", "ticket": "warning", "none": "info"}
ACTIONS: Mapping[str, str] = {
    "trigger": "trigger",
    "update": "trigger",
    "acknowledge": "acknowledge",
    "resolve": "resolve",
}
_LINKS = ("runbook", "dashboard", "explain")


@dataclasses.dataclass(frozen=True, slots=True)
class PagerDuty:
    """An integration of a PagerDuty service. `client_url`: where people find Tocsin, may be empty."""

    routing_key: str = dataclasses.field(repr=False)
    url: str = ENQUEUE
    client_url: str = ""

    def request(self, notification: NotificationRecord) -> Request:
        """The event of one notification."""
        action = ACTIONS.get(notification.action)
        if action is None:
            raise Unsendable(f"unknown action {notification.action!r}")
        event: dict[str, object] = {
            "routing_key": self.routing_key,
            "event_action": action,
            "dedup_key": dedup_key(notification.dedup_key),
        }
        if action == "trigger":
            event["payload"] = _payload(notification)
            event["client"] = "Tocsin"
            event |= {"client_url": self.client_url} if self.client_url else {}
            event |= {"links": links} if (links := _links(notification.details)) else {}
        return Request("POST", self.url, {"content-type": "application/json"}, _fitted(event))

    def outcome(self, answer: Answer) -> Outcome:
        """202 delivered; 429, 5xx and network errors again; 400 and the rest never."""
        return outcome_of(answer)


def dedup_key(key: str) -> str:
    """The key itself, or its beginning and hash when it is too long: two incidents never share one by truncation."""
    if len(key) <= limits.PAGERDUTY_DEDUP_KEY_CHARS_MAX:
        return key
    return f"{key[:190]}-{hashlib.blake2b(key.encode(), digest_size=32).hexdigest()}"


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC, with milliseconds."""
    at = dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def _payload(notification: NotificationRecord) -> dict[str, object]:
    details = dict(notification.details)
    service = details.get("service", "")
    payload: dict[str, object] = {
        "summary": shortened(notification.summary or notification.incident_id, limits.PAGERDUTY_SUMMARY_CHARS_MAX),
        "source": notification.source or "tocsin",
        "severity": SEVERITIES.get(notification.severity, "error"),
        "timestamp": iso(notification.event_ms),
        "class": "slo burn",
        "custom_details": {**details, "notification": notification.notification_id},
    }
    return payload | ({"component": service} if service else {})


def _links(details: Mapping[str, str]) -> list[dict[str, str]]:
    """Those details that are addresses; anything else in their place is a detail and no link."""
    found = [(name, details.get(name, "")) for name in _LINKS]
    return [
        {"href": text, "text": name} for name, text in found if urllib.parse.urlsplit(text).scheme in ("http", "https")
    ]


def _fitted(event: dict[str, object]) -> bytes:
    """The event as JSON within PAGERDUTY_EVENT_BYTES_MAX; the longest details go first, and their names are told."""
    body = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
    payload = event.get("payload")
    details = payload.get("custom_details") if isinstance(payload, dict) else None
    left_out: list[str] = []
    while len(body) > limits.PAGERDUTY_EVENT_BYTES_MAX:
        if not isinstance(details, dict) or not (names := [name for name in details if name != "left_out"]):
            raise Unsendable(f"{len(body):,} bytes are more than PagerDuty takes")
        longest = max(names, key=lambda name: len(str(details[name])))
        del details[longest]
        left_out.append(shortened(longest, 64))
        details["left_out"] = shortened(", ".join(left_out), limits.PAGERDUTY_SUMMARY_CHARS_MAX)
        body = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
    return body
