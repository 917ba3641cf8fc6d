"""Notify: alert transitions and commands in, incident transitions and pending notifications out.

What: `Notifier.apply` finds the incident, takes it through the table in `incident`, and asks `notification` for each
channel whether there is a reason to tell it. Why a pure step: repeated input (a transition or command id seen
before) changes nothing, and the same log gives the same incidents. It refuses to deliver: a notification leaves here
as `pending`, with an idempotency key, and the shell's outbox does the rest.

Alerts that share an incident have to arrive at one Notifier: key the alerts topic by `Notifier.key_of`.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping
from typing import cast

from alerts import limits
from alerts.incident import Change, Incident, IncidentState, Part, incident_id, incident_key, step
from alerts.notification import reason_for, record_of
from alerts.packing import CorruptSnapshot, pack, unpack
from alerts.readings import span_text
from alerts.route import Routes
from alerts.slo import SEVERITIES
from schemas.records import AlertTransition, Command, IncidentTransition, NotificationRecord

Effect = IncidentTransition | NotificationRecord
_OVERFLOW_KEY = "tocsin_overflow=true"
_IDS_IN_RECORD = 100


def labels_of(transition: AlertTransition) -> dict[str, str]:
    """Labels for routing and grouping: those of the group, and slo, objective, severity, service."""
    own = {"slo": transition.slo, "objective": str(transition.objective), "severity": transition.severity}
    return {"service": transition.annotations.get("service", ""), **transition.labels, **own}


class Seen:
    """Ids seen before; remembers the newest `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def add(self, name: str) -> None:
        """Remember an id, and forget the oldest when there are too many."""
        self._ids[name] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]

    def all(self) -> list[str]:
        """The ids, oldest first."""
        return list(self._ids)


class Notifier:
    """Incidents of one partition of the alerts log."""

    def __init__(self, routes: Routes, bounds: limits.Limits | None = None) -> None:
        self.routes, self.bounds = routes, bounds or limits.Limits()
        self.counters: collections.Counter[str] = collections.Counter()
        self.open: dict[str, Incident] = {}  # by key
        self._seen = Seen(self.bounds.seen_transitions)
        self._closed = Seen(self.bounds.closed_alerts)  # alerts of incidents that a person resolved

    def key_of(self, transition: AlertTransition) -> str:
        """The incident's key; transitions of equal key have to meet in one Notifier."""
        return incident_key(labels_of(transition), self.routes.group_by)

    def apply(self, item: AlertTransition | Command, at_ms: int) -> list[Effect]:
        """One alert transition or command, read at `at_ms` (the record's time). A repeat has no effect."""
        name = item.transition_id if isinstance(item, AlertTransition) else item.command_id
        if name in self._seen:
            self.counters["repeated"] += 1
            return []
        self._seen.add(name)
        if isinstance(item, AlertTransition):
            return self._alert(item, at_ms)
        return self._command(item, at_ms)

    def _alert(self, transition: AlertTransition, at_ms: int) -> list[Effect]:
        incident = self._incident_of(transition)
        if incident is None:
            incident = self._opened(transition)
            if incident is None:
                self.counters["without_incident"] += 1
                return []
        before, known = incident.severity, incident.knows(transition.alert_id)
        earlier, part = incident.parts.get(transition.alert_id), part_of(transition)
        if not incident.take(part, self.bounds.alerts_in_incident, self.bounds.alerts_counted):
            self.counters["alerts_left_out"] += 1
            return []
        wanted = self.routes.channels(labels_of(transition)) if transition.severity != "none" else ()
        change = _change(incident, before, known, part.frozen if earlier is None else earlier.frozen, part)
        if change is None and incident.told_all(wanted):
            return []
        incident.event_ms = transition.event_ms
        return self._changed(incident, change or Change.JOINED, wanted, at_ms, transition.transition_id, "")

    def _incident_of(self, transition: AlertTransition) -> Incident | None:
        """The open incident that this alert is in, or would join."""
        overflow = self.open.get(_OVERFLOW_KEY)
        if overflow is not None and overflow.knows(transition.alert_id):
            return overflow
        incident = self.open.get(self.key_of(transition))
        if incident is None or incident.knows(transition.alert_id):
            return incident
        return incident if self._may_enter(transition) else None

    def _may_enter(self, transition: AlertTransition) -> bool:
        """A burning alert enters an incident, unless a person resolved its incident and it has not risen since."""
        rose = SEVERITIES.index(transition.severity) > SEVERITIES.index(transition.previous_severity)
        return transition.state == "firing" and (rose or transition.alert_id not in self._closed)

    def _opened(self, transition: AlertTransition) -> Incident | None:
        if not self._may_enter(transition):
            return None
        key, labels = self.key_of(transition), labels_of(transition)
        title = transition.annotations.get("title") or transition.slo
        if len(self.open) >= self.bounds.open_incidents:
            self.counters["incident_overflow"] += 1
            key, labels, title = _OVERFLOW_KEY, {}, "More incidents than are kept apart"
        kept = {name: labels.get(name, "") for name in self.routes.group_by if name in labels}
        incident = Incident(incident_id(key, transition.transition_id), key, kept, title)
        return self.open.setdefault(key, incident)

    def _command(self, command: Command, at_ms: int) -> list[Effect]:
        """Target: an incident id, or the id of one of its alerts."""
        for incident in self.open.values():
            if command.target == incident.incident_id or incident.knows(command.target):
                break
        else:
            self.counters["command_without_incident"] += 1
            return []
        if command.kind == "acknowledge":
            return self._changed(incident, Change.ACKNOWLEDGED, (), at_ms, "", command.actor)
        if command.kind == "resolve":
            for alert_id in [*(part.alert_id for part in incident.burning), *incident.others]:
                self._closed.add(alert_id)
            return self._changed(incident, Change.CLOSED, (), at_ms, "", command.actor)
        self.counters["command_unknown"] += 1
        return []

    def _changed(
        self, incident: Incident, change: Change, wanted: tuple[str, ...], at_ms: int, transition: str, actor: str
    ) -> list[Effect]:
        """Take an incident through the table; tell whom there is a reason to tell."""
        arrow = step(IncidentState(incident.state), change)
        incident.state = arrow.to.value
        if not arrow.recorded:
            return []
        incident.number += 1
        self.counters[f"incident_{change.name.lower()}"] += 1
        found: list[Effect] = [_record(incident, change, at_ms, transition, actor)]
        for channel in dict.fromkeys([*incident.told, *wanted]):
            reason = reason_for(change, channel in incident.told, channel in wanted)
            if not reason.action:
                self.counters["not_told"] += 1
                continue
            found.append(record_of(incident, channel, reason, at_ms))
            if channel not in incident.told:
                incident.told.append(channel)
        if arrow.to is IncidentState.RESOLVED:
            del self.open[incident.key]
        return found

    def snapshot(self) -> bytes:
        """All state as bytes, for `restore`."""
        texts = {
            "incidents": json.dumps([dataclasses.asdict(incident) for incident in self.open.values()]),
            "seen": json.dumps(self._seen.all()),
            "closed": json.dumps(self._closed.all()),
        }
        return pack(texts, {})

    def restore(self, data: bytes) -> None:
        """State of a snapshot into a new notifier. Raises CorruptSnapshot."""
        texts, _ = unpack(data)
        try:
            for row in cast("list[dict[str, object]]", json.loads(texts["incidents"])):
                incident = _incident(row)
                self.open[incident.key] = incident
            for seen, name in ((self._seen, "seen"), (self._closed, "closed")):
                for identity in cast("list[str]", json.loads(texts[name])):
                    seen.add(identity)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CorruptSnapshot(str(error)) from error


def _incident(row: dict[str, object]) -> Incident:
    parts = cast("Mapping[str, dict[str, object]]", row["parts"])
    read = {name: Part(**part) for name, part in parts.items()}  # type: ignore[arg-type]
    return Incident(**{**row, "parts": read})  # type: ignore[arg-type]


def _change(incident: Incident, before: int, known: bool, frozen_before: bool, part: Part) -> Change | None:
    """What the newest transition, now in `part`, means for its incident; None when it means nothing."""
    now = incident.severity
    if not incident.number:
        return Change.OPENED
    if now != before:
        return Change.ENDED if now == 0 else (Change.ROSE if now > before else Change.FELL)
    if part.alert_id not in incident.parts:
        return None
    if not known:
        return Change.JOINED
    if part.severity == 0:
        return Change.LEFT
    if part.frozen != frozen_before:
        return Change.FROZE if part.frozen else Change.THAWED
    return None


def part_of(transition: AlertTransition) -> Part:
    """An incident's memory of one alert."""
    exceeded = [reading for reading in transition.burn if reading.exceeded] or list(transition.burn)
    worst = max(exceeded, key=lambda reading: (SEVERITIES.index(reading.severity), reading.factor), default=None)
    burn = f"{worst.long_burn:.1f}x over {span_text(worst.long_ms)}, {worst.short_burn:.1f}x over " if worst else ""
    return Part(
        alert_id=transition.alert_id,
        severity=SEVERITIES.index(transition.severity),
        frozen=transition.frozen,
        slo=transition.slo,
        labels=dict(transition.labels),
        summary=transition.summary,
        burn=f"{burn}{span_text(worst.short_ms)} (limit {worst.factor:g}x)" if worst else "",
        since_ms=transition.burn_started_ms,
        budget_left=transition.budget_left,
        exemplars=list(transition.exemplars),
        annotations=dict(transition.annotations),
    )


def _record(incident: Incident, change: Change, at_ms: int, transition: str, actor: str) -> IncidentTransition:
    return IncidentTransition(
        incident_id=incident.incident_id,
        number=incident.number,
        state=incident.state,
        severity=incident.severity_word,
        title=incident.title,
        alert_ids=tuple(incident.parts)[:_IDS_IN_RECORD],
        transition_ids=(transition,) if transition else (),
        labels=incident.labels,
        event_ms=incident.event_ms,
        at_ms=at_ms,
        actor=actor,
        reason=change.value,
    )
