"""Case: everything the topics know about one incident or alert, put in order.

What: alert transitions, incident transitions and deliveries that belong together, found by any of their ids or the
beginning of one. Why: an explanation is a join over three topics, and joins are best tested apart from printing. It
refuses to guess between two incidents: an ambiguous beginning names them all.
"""

from __future__ import annotations

import dataclasses

from cli import reading
from cli.decoding import Decoder
from cli.output import PROBLEM, USAGE, Stop
from cli.reading import Log
from schemas.corrupt import CorruptRecord
from schemas.records import AlertTransition, IncidentTransition, NotificationRecord

TOPICS = ("alerts", "incidents", "notifications")
CANDIDATES_SHOWN = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """One change of a delivery, and when it was written (ms)."""

    record: NotificationRecord
    at_ms: int


@dataclasses.dataclass(slots=True)
class Case:
    """What belongs together; each list in order. `incident_id` is empty for an alert that never had one.

    `partition` is that of the incident's records, and so that of its alerts and commands; -1 without an incident.
    """

    incident_id: str = ""
    incident: list[IncidentTransition] = dataclasses.field(default_factory=list)
    alerts: dict[str, list[AlertTransition]] = dataclasses.field(default_factory=dict)
    deliveries: dict[str, list[Told]] = dataclasses.field(default_factory=dict)  # by notification id
    partition: int = -1

    @property
    def first(self) -> AlertTransition | None:
        """The transition that began it."""
        every = [transition for transitions in self.alerts.values() for transition in transitions]
        return min(every, key=lambda transition: (transition.detected_ms, transition.number), default=None)


@dataclasses.dataclass(slots=True)
class Records:
    """All records of the three topics, repeats left out."""

    alerts: dict[str, dict[str, AlertTransition]] = dataclasses.field(default_factory=dict)
    incidents: dict[str, dict[int, IncidentTransition]] = dataclasses.field(default_factory=dict)
    deliveries: dict[str, dict[tuple[str, int, str], Told]] = dataclasses.field(default_factory=dict)
    partitions: dict[str, int] = dataclasses.field(default_factory=dict)  # of incidents
    unreadable: int = 0

    def apply(self, value: object, at_ms: int, partition: int) -> None:
        """Take in one record; others than the three kinds are ignored."""
        if isinstance(value, AlertTransition):
            self.alerts.setdefault(value.alert_id, {}).setdefault(value.transition_id, value)
        elif isinstance(value, IncidentTransition):
            self.incidents.setdefault(value.incident_id, {}).setdefault(value.number, value)
            self.partitions[value.incident_id] = partition
        elif isinstance(value, NotificationRecord):
            change = (value.status, value.attempts, value.last_error)
            self.deliveries.setdefault(value.notification_id, {}).setdefault(change, Told(value, at_ms))

    def find(self, wanted: str) -> Case:
        """The case of an id or the beginning of one. Raises Stop: none, or several."""
        hits = self._hits(wanted)
        if not hits:
            do = "take an id from `tocsin tail incidents` or `tocsin tail alerts`; `tocsin slo` shows what burns now"
            raise Stop(PROBLEM, f"no incident, alert or notification begins with {wanted!r}", ", ".join(TOPICS), do)
        if len(hits) > 1:
            shown = [f"{identity}  {title}" for identity, title in sorted(hits.items())[:CANDIDATES_SHOWN]]
            raise Stop(USAGE, f"{wanted!r} begins {len(hits)} ids", "\n".join(shown), "write more of it")
        return self._case(next(iter(hits)))

    def _hits(self, wanted: str) -> dict[str, str]:
        """Incident (or alert without an incident) -> what it is called."""
        found: dict[str, str] = {}
        for incident, changes in self.incidents.items():
            alerts = {alert for change in changes.values() for alert in change.alert_ids}
            names = {incident, *alerts, *(t for change in changes.values() for t in change.transition_ids)}
            names |= {name for name, told in self.deliveries.items() if _incident_of(told) == incident}
            names |= {transition for alert in alerts for transition in self.alerts.get(alert, ())}
            if any(name.startswith(wanted) for name in names):
                found[incident] = changes[min(changes)].title
        gathered = {alert for changes in self.incidents.values() for c in changes.values() for alert in c.alert_ids}
        for alert, transitions in self.alerts.items():
            if alert not in gathered and any(name.startswith(wanted) for name in (alert, *transitions)):
                found[alert] = next(iter(transitions.values())).slo
        return found

    def _case(self, name: str) -> Case:
        changes = self.incidents.get(name)
        if changes is None:
            return Case("", [], {name: _in_order(self.alerts[name])}, {})
        alerts = dict.fromkeys(alert for number in sorted(changes) for alert in changes[number].alert_ids)
        deliveries = {
            identity: sorted(told.values(), key=lambda one: (one.record.attempts, one.at_ms))
            for identity, told in self.deliveries.items()
            if _incident_of(told) == name
        }
        ordered = dict(sorted(deliveries.items(), key=lambda item: (item[1][0].at_ms, item[1][0].record.channel)))
        known = {alert: _in_order(self.alerts[alert]) for alert in alerts if alert in self.alerts}
        in_order = [changes[number] for number in sorted(changes)]
        return Case(name, in_order, known, ordered, self.partitions[name])


def _incident_of(told: dict[tuple[str, int, str], Told]) -> str:
    return next(iter(told.values())).record.incident_id


def _in_order(transitions: dict[str, AlertTransition]) -> list[AlertTransition]:
    return sorted(transitions.values(), key=lambda transition: transition.number)


def gathered(log: Log) -> Records:
    """All records that the three topics hold now."""
    decoder, records = Decoder(), Records()
    for topic in TOPICS:
        for message in reading.everything(log, topic):
            if message.value is None:
                continue
            try:
                records.apply(decoder.decode(message.value), message.timestamp_ms, message.partition)
            except CorruptRecord:
                records.unreadable += 1
    return records
