"""A receiver of webhooks for the demo and for tests: takes Alertmanager's version 4, and remembers.

What: whatever has the fields that receivers rely on is taken. Why strict: a field that is missing shows here and not
at somebody's on-call tool. A repeat with the same idempotency key is noted as such. It refuses to be a product.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sinks.fakes.receiver import Receiver, Reply

FIELDS: Mapping[str, type] = {
    "version": str,
    "groupKey": str,
    "truncatedAlerts": int,
    "status": str,
    "receiver": str,
    "groupLabels": dict,
    "commonLabels": dict,
    "commonAnnotations": dict,
    "externalURL": str,
    "alerts": list,
}
ALERT_FIELDS: Mapping[str, type] = {
    "status": str,
    "labels": dict,
    "annotations": dict,
    "startsAt": str,
    "endsAt": str,
    "generatorURL": str,
    "fingerprint": str,
}


class WebhookFake(Receiver):
    """The receiver. `groups`: status by group key, as a tool behind it would show."""

    path = "/alerts"

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.taken: list[dict[str, object]] = []
        self.groups: dict[str, str] = {}

    def reply(self, path: str, body: bytes, at_ms: int) -> Reply:
        """200, or 400 with what is wrong."""
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        errors = problems(found)
        if errors:
            return Reply(400, {"errors": errors}, taken=False)
        self.taken.append(found)
        self.groups[str(found["groupKey"])] = str(found["status"])
        return Reply(200, {"status": "ok"})


def problems(found: object) -> list[str]:
    """What a receiver of Alertmanager's webhook v4 would miss."""
    if not isinstance(found, dict):
        return ["the body is no JSON object"]
    errors = _missing(found, FIELDS, "")
    if found.get("version") != "4":
        errors.append("version is not 4")
    for alert in found.get("alerts") or [None]:
        errors += _missing(alert, ALERT_FIELDS, "alerts.") if isinstance(alert, dict) else ["there is no alert"]
    return errors


def _missing(found: Mapping[str, object], fields: Mapping[str, type], prefix: str) -> list[str]:
    return [
        f"{prefix}{name} is no {kind.__name__}"
        for name, kind in fields.items()
        if not isinstance(found.get(name), kind)
    ]
