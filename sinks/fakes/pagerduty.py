"""A PagerDuty to page in the demo and in tests: Events API v2 as documented, with state.

What: field limits, incidents by routing key and dedup key, 120 events in any sixty seconds. Why stateful: whether a
retry doubles a page is decided by what the service remembers. An acknowledgement or a resolution without an open incident
is taken and dropped, as there; a trigger after a resolution opens a new incident. It refuses what the documents refuse,
and what they leave open (a body over 512 KB) it refuses too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Mapping

from sinks import limits
from sinks.fakes.quota import Quota
from sinks.fakes.receiver import Receiver, Reply

ACTIONS = ("trigger", "acknowledge", "resolve")
SEVERITIES = ("critical", "error", "warning", "info")


@dataclasses.dataclass(slots=True)
class PagerIncident:
    """An incident as the service keeps it. `told`: (time, action) of each event that changed or updated it."""

    routing_key: str
    dedup_key: str
    status: str  # triggered | acknowledged | resolved
    opened_ms: int
    severity: str
    summary: str
    timestamp: str  # event time, as given
    resolved_ms: int | None = None
    told: list[tuple[int, str]] = dataclasses.field(default_factory=list)


class PagerDutyFake(Receiver):
    """The service. `per_minute`: its limit for each routing key; 0 for none."""

    path = "/v2/enqueue"

    def __init__(self, port: int = 0, per_minute: int = limits.PAGERDUTY_PER_MINUTE) -> None:
        super().__init__(port)
        self.incidents: list[PagerIncident] = []
        self.dropped: list[dict[str, object]] = []  # acknowledgements and resolutions without an open incident
        self._open: dict[tuple[str, str], PagerIncident] = {}
        self._quota = Quota(per_minute)

    def reply(self, path: str, body: bytes, at_ms: int) -> Reply:
        """As the documents say: 202, 400 with reasons, or 429 with Retry-After."""
        if path != self.path:
            return Reply(404, {"message": "Not Found"}, taken=False)
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            return _invalid(["the body is no JSON object"])
        errors = problems(event)
        if len(body) > limits.PAGERDUTY_EVENT_BYTES_MAX:
            errors.append(f"the event is larger than {limits.PAGERDUTY_EVENT_BYTES_MAX} bytes")
        if errors:
            return _invalid(errors)
        wait_s = self._quota.wait_s(str(event["routing_key"]), at_ms)
        if wait_s:
            headers = {"retry-after": str(wait_s)}
            return Reply(429, {"status": "throttle exceeded", "message": "Too many events"}, headers, taken=False)
        key = str(event.get("dedup_key") or uuid.uuid4().hex)
        self._take(event, key, at_ms)
        return Reply(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def _take(self, event: Mapping[str, object], key: str, at_ms: int) -> None:
        routing_key, action = str(event["routing_key"]), str(event["event_action"])
        incident = self._open.get((routing_key, key))
        if action == "trigger":
            payload = event["payload"]
            assert isinstance(payload, dict)
            if incident is None:
                incident = PagerIncident(
                    routing_key,
                    key,
                    "triggered",
                    at_ms,
                    payload["severity"],
                    payload["summary"],
                    payload.get("timestamp", ""),
                )
                self.incidents.append(incident)
                self._open[routing_key, key] = incident
            incident.severity, incident.summary = payload["severity"], payload["summary"]
        elif incident is None:
            self.dropped.append(dict(event))
            return
        elif action == "acknowledge":
            incident.status = "acknowledged"
        else:
            incident.status, incident.resolved_ms = "resolved", at_ms
            del self._open[routing_key, key]
        incident.told.append((at_ms, action))


def _invalid(errors: list[str]) -> Reply:
    body = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    return Reply(400, body, taken=False)


def problems(event: Mapping[str, object]) -> list[str]:
    """What the documents find wrong with an event, all of it."""
    found = _text(event, "routing_key", limits.PAGERDUTY_ROUTING_KEY_CHARS, exact=True)
    action = event.get("event_action")
    if action not in ACTIONS:
        found.append(f"'event_action' must be one of {', '.join(ACTIONS)}")
    if "dedup_key" in event or action in ("acknowledge", "resolve"):
        found += _text(event, "dedup_key", limits.PAGERDUTY_DEDUP_KEY_CHARS_MAX)
    if action == "trigger":
        payload = event.get("payload")
        found += _payload_problems(payload) if isinstance(payload, dict) else ["'payload' is missing or blank"]
    for name, needed in (("links", "href"), ("images", "src")):
        items = event.get(name, [])
        if not isinstance(items, list) or any(not isinstance(i, dict) or not i.get(needed) for i in items):
            found.append(f"'{name}' must be a list of objects with '{needed}'")
    return found


def _payload_problems(payload: Mapping[str, object]) -> list[str]:
    found = _text(payload, "summary", limits.PAGERDUTY_SUMMARY_CHARS_MAX) + _text(payload, "source", 1_000_000)
    if payload.get("severity") not in SEVERITIES:
        found.append(f"'payload.severity' must be one of {', '.join(SEVERITIES)}")
    if not isinstance(payload.get("custom_details", {}), dict):
        found.append("'payload.custom_details' must be an object")
    if "timestamp" in payload:
        try:
            dt.datetime.fromisoformat(str(payload["timestamp"]))
        except ValueError:
            found.append("'payload.timestamp' is not ISO 8601")
    return found


def _text(fields: Mapping[str, object], name: str, most: int, exact: bool = False) -> list[str]:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        return [f"'{name}' is missing or blank"]
    if len(value) > most or (exact and len(value) != most):
        return [f"'{name}' must be {'exactly' if exact else 'at most'} {most} characters"]
    return []
