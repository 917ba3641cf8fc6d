"""Notifications: why to tell somebody now, what to tell, and under which idempotency key.

What: a table from changes of an incident to actions, and the text of a notification. Why: "nothing was sent" needs
a reason as much as "something was sent". It refuses to deliver and to retry.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping

from alerts import limits
from alerts.incident import Change, Incident
from alerts.readings import group_text
from schemas.records import NotificationRecord


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """Why a channel is told (with which action), or why not (action empty)."""

    action: str  # trigger | update | acknowledge | resolve | ""
    text: str


#: For a channel that knows the incident.
REASONS: Mapping[Change, Reason] = {
    Change.OPENED: Reason("trigger", "the incident is new"),
    Change.JOINED: Reason("", "a further alert does not wake anybody who is awake"),
    Change.ROSE: Reason("update", "it became more severe"),
    Change.FELL: Reason("", "becoming less severe is no news to act on"),
    Change.LEFT: Reason("", "others still burn"),
    Change.FROZE: Reason("", "no data changes nothing"),
    Change.THAWED: Reason("", "data again changes nothing"),
    Change.ACKNOWLEDGED: Reason("acknowledge", "somebody is at it"),
    Change.ENDED: Reason("resolve", "all alerts resolved"),
    Change.CLOSED: Reason("resolve", "a person resolved it"),
}
FIRST_TELLING = Reason("trigger", "this channel did not know of the incident")
NOT_CONCERNED = Reason("", "this channel was never told of the incident")


def reason_for(change: Change, told: bool, wanted: bool) -> Reason:
    """Whether to tell a channel. told: it knows the incident; wanted: a route leads the alert to it, and it burns."""
    if not told:
        return FIRST_TELLING if wanted else NOT_CONCERNED
    return REASONS[change]


def notification_id(incident: str, channel: str, number: int, action: str) -> str:
    """Idempotency key: blake2b (16 bytes, hex) of incident, its transition number, channel and action."""
    text = f"{incident}\0{number}\0{channel}\0{action}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def time_text(at_ms: int) -> str:
    """ISO 8601 in UTC, to the second."""
    return dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary_of(incident: Incident) -> str:
    """One line for a person, at most SUMMARY_CHARS_MAX characters."""
    burning = incident.burning
    if not burning:
        left = f"{incident.beyond} alerts burn" if incident.beyond else "no alert burns any more"
        return f"{incident.title}: {left}."[: limits.SUMMARY_CHARS_MAX]
    more = f" And {len(burning) - 1 + incident.beyond} more." if len(burning) + incident.beyond > 1 else ""
    room = limits.SUMMARY_CHARS_MAX - len(more)
    text = burning[0].summary
    return (text if len(text) <= room else text[: room - 1] + "…") + more


def details_of(incident: Incident, reason: Reason) -> dict[str, str]:
    """What burns, how fast, since when, budget left, which groups, exemplars, and the command that explains it."""
    parts = incident.burning or list(incident.parts.values())
    first = parts[0]
    found = {
        "incident": incident.incident_id,
        "slo": ", ".join(sorted({part.slo for part in parts})),
        "severity": incident.severity_word,
        "burn": first.burn,
        "since": time_text(min(part.since_ms for part in parts)),
        "budget_left": f"{min(part.budget_left for part in parts):.1%}",
        "groups": "; ".join(group_text(part.labels) or "all" for part in parts[:20]),
        "alerts": ", ".join(part.alert_id for part in parts[:20]),
        "explain": first.annotations.get("explain", ""),
        "why_now": reason.text,
    }
    exemplars = list(dict.fromkeys(trace for part in parts for trace in part.exemplars))
    found |= {"exemplars": ", ".join(exemplars[: limits.EXEMPLARS_MAX])} if exemplars else {}
    for name in ("service", "description", "runbook"):
        found |= {name: first.annotations[name]} if first.annotations.get(name) else {}
    if incident.beyond:
        found["alerts_left_out"] = str(incident.beyond)
    return {name: text[: limits.DETAIL_CHARS_MAX] for name, text in found.items()}


def record_of(incident: Incident, channel: str, reason: Reason, at_ms: int) -> NotificationRecord:
    """The pending notification of one channel, after the incident's newest transition."""
    details = details_of(incident, reason)
    return NotificationRecord(
        notification_id=notification_id(incident.incident_id, channel, incident.number, reason.action),
        incident_id=incident.incident_id,
        channel=channel,
        action=reason.action,
        dedup_key=incident.incident_id,
        severity=incident.severity_word,
        summary=summary_of(incident),
        source=details.get("service") or details["slo"],
        event_ms=incident.event_ms,
        created_ms=at_ms,
        details=details,
        status="pending",
        attempts=0,
        last_error="",
        delivered_ms=0,
        response="",
    )
