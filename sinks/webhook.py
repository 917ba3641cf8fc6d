"""Webhook: a notification as Alertmanager's webhook, version 4, which most receivers of alerts can read.

What: one JSON body with one alert in it, a group of its own. Why that format: Grafana OnCall, GoAlert, Keep,
IncidentRelay and Robusta take it. An idempotency key travels as a header for receivers that know what to do with it. It
refuses to sign: a bearer token or a secret address says who we are.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping

from schemas.records import NotificationRecord
from sinks import limits
from sinks.port import Answer, Outcome, Request, Unsendable
from sinks.status import outcome_of

NEVER = "0001-01-01T00:00:00Z"  # Alertmanager's word for "has not ended"
REASONS: Mapping[str, str] = {
    "trigger": "first_notification",
    "update": "severity_rose",
    "acknowledge": "acknowledged",
    "resolve": "all_alerts_resolved",
}
#: Details that name the alert; the rest describes it.
_LABELS = ("slo", "service", "severity")


@dataclasses.dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver. `bearer`: sent as Authorization when it is not empty; `receiver`: its name in the body."""

    receiver: str
    url: str = dataclasses.field(repr=False)
    bearer: str = dataclasses.field(default="", repr=False)
    external_url: str = ""

    def request(self, notification: NotificationRecord) -> Request:
        """The request of one notification."""
        if notification.action not in REASONS:
            raise Unsendable(f"unknown action {notification.action!r}")
        body = json.dumps(self.body(notification), ensure_ascii=False).encode("utf-8", "replace")
        if len(body) > limits.WEBHOOK_BODY_BYTES_MAX:
            raise Unsendable(f"{len(body):,} bytes are more than {limits.WEBHOOK_BODY_BYTES_MAX:,}")
        headers = {"content-type": "application/json", "idempotency-key": notification.notification_id}
        if self.bearer:
            headers["authorization"] = f"Bearer {self.bearer}"
        return Request("POST", self.url, headers, body)

    def outcome(self, answer: Answer) -> Outcome:
        """2xx delivered; 408, 425, 429, 5xx and network errors again; the rest never."""
        return outcome_of(answer)

    def body(self, notification: NotificationRecord) -> dict[str, object]:
        """Alertmanager's webhook v4. `fingerprint` and `groupKey` stay the same over an incident's life."""
        status = "resolved" if notification.action == "resolve" else "firing"
        details = dict(notification.details)
        labels = {name: details[name] for name in _LABELS if details.get(name)}
        labels |= {"alertname": details.get("slo") or notification.source, "severity": notification.severity}
        described = {name: text for name, text in details.items() if name not in _LABELS and text}
        annotations = {**described, "summary": notification.summary}
        event_at = _rfc3339(notification.event_ms)
        alert = {
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": details.get("since") or event_at,
            "endsAt": event_at if status == "resolved" else NEVER,
            "generatorURL": self.external_url,
            "fingerprint": notification.dedup_key,
        }
        return {
            "version": "4",
            "groupKey": notification.dedup_key,
            "truncatedAlerts": 0,
            "status": status,
            "receiver": self.receiver,
            "groupLabels": {name: labels[name] for name in ("slo", "service") if name in labels},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": self.external_url,
            "notification_reason": REASONS[notification.action],
            "alerts": [alert],
        }


def _rfc3339(at_ms: int) -> str:
    at = dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
