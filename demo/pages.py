"""Pages: what arrived at the pager, held against what the mathematics asked for.

What: matches arrivals with expected pages through incident and alert records; finds pages that are missing, that
nobody asked for, and that were not resolved. Why: one page a burn, none without, each resolved: that is the promise.
It refuses to forgive: a page is justified only while its burn is, give or take one pane.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from demo.ideal import Expected
from schemas.records import AlertTransition, IncidentTransition, SloStatus

SLACK_MS = 15_000  # a pane of ten seconds, and the time to page

Group = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """One request at the pager's door that it took. Times in ms since epoch."""

    arrived_ms: int
    action: str  # trigger | acknowledge | resolve
    dedup_key: str
    severity: str


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One expected page and what became of it; `delivered_ms` is None when it never came."""

    expected: Expected
    detected_ms: int | None
    delivered_ms: int | None
    resolved_ms: int | None

    @property
    def overhead_seconds(self) -> float | None:
        """From the moment at which the burn can be known to the page."""
        return None if self.delivered_ms is None else (self.delivered_ms - self.expected.fires_ms) / 1000

    def row(self) -> dict[str, object]:
        """As the last line of a verification has it. Times in ms since epoch."""
        return {
            "slo": self.expected.slo,
            "group": dict(self.expected.group),
            "severity": self.expected.severity,
            "burn_started": self.expected.burn_started_ms,
            "detected": self.detected_ms,
            "delivered": self.delivered_ms,
            "ideal_seconds": round(self.expected.ideal_seconds, 3),
            "overhead_seconds": None if self.overhead_seconds is None else round(self.overhead_seconds, 3),
        }


@dataclasses.dataclass(slots=True)
class Log:
    """Alert and incident records of the run: what leads from a page to its burn."""

    alerts: dict[str, list[AlertTransition]] = dataclasses.field(default_factory=dict)
    incidents: dict[str, set[str]] = dataclasses.field(default_factory=dict)  # incident -> alerts in it
    states: dict[tuple[str, Group], str] = dataclasses.field(default_factory=dict)  # newest state of each SLO's group

    def apply(self, record: object) -> None:
        """Take in one record; others are ignored. Repeats change nothing."""
        if isinstance(record, AlertTransition):
            known = self.alerts.setdefault(record.alert_id, [])
            if all(record.transition_id != before.transition_id for before in known):
                known.append(record)
        elif isinstance(record, IncidentTransition):
            self.incidents.setdefault(record.incident_id, set()).update(record.alert_ids)
        elif isinstance(record, SloStatus):
            self.states[record.slo, tuple(sorted(record.labels.items()))] = record.state

    def subjects(self, incident: str) -> set[tuple[str, Group]]:
        """(slo, group) of each alert in an incident."""
        found = set()
        for alert in self.incidents.get(incident, ()):
            for transition in self.alerts.get(alert, ())[:1]:
                found.add((transition.slo, tuple(sorted(transition.labels.items()))))
        return found

    def detected_ms(self, slo: str, group: Group, since_ms: int) -> int | None:
        """When the platform decided, by its own clock, that the group pages, at or after a time."""
        labels = dict(group)
        times = [
            transition.detected_ms
            for transitions in self.alerts.values()
            for transition in transitions
            if transition.slo == slo
            and transition.labels == labels
            and transition.severity == "page"
            and transition.previous_severity != "page"
            and transition.detected_ms >= since_ms
        ]
        return min(times, default=None)


def deduplicated(arrivals: Sequence[Arrival]) -> dict[str, tuple[int, int | None]]:
    """Per dedup key: when it was first triggered, and when it was resolved after that. The pager's own view."""
    found: dict[str, tuple[int, int | None]] = {}
    for arrival in sorted(arrivals, key=lambda arrival: arrival.arrived_ms):
        if arrival.action == "trigger":
            found.setdefault(arrival.dedup_key, (arrival.arrived_ms, None))
        elif arrival.action == "resolve" and arrival.dedup_key in found:
            triggered, resolved = found[arrival.dedup_key]
            found[arrival.dedup_key] = (triggered, resolved if resolved is not None else arrival.arrived_ms)
    return found


def match(expected: Sequence[Expected], arrivals: Sequence[Arrival], log: Log) -> tuple[list[Page], list[str]]:
    """Each expected page with what became of it, and the dedup keys of pages that nothing asked for."""
    seen = deduplicated(arrivals)
    subjects = {key: log.subjects(key) for key in seen}
    used: set[str] = set()
    found: list[Page] = []
    for page in expected:
        until = page.clears_ms + SLACK_MS if page.clears_ms is not None else None
        candidates = [
            (triggered, resolved, key)
            for key, (triggered, resolved) in seen.items()
            if (page.slo, page.group) in subjects[key]
            and triggered >= page.fires_ms - SLACK_MS
            and (until is None or triggered <= until)
        ]
        triggered, resolved, key = min(candidates, default=(None, None, ""))
        used.add(key)
        detected = log.detected_ms(page.slo, page.group, page.fires_ms - SLACK_MS)
        found.append(Page(page, detected, triggered, resolved))
    return found, sorted(key for key in seen if key not in used)
