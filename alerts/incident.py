"""Incidents: the group of alerts that one person handles; states and transitions as one table.

Theory. An incident opens with its first alert, gathers those that share its key, and ends when each of its alerts
has resolved, or when a person closes it. Acknowledging says that somebody is at it; a rise in severity takes that
back, as what was acknowledged was something smaller. A resolved incident never changes: the next burn opens a new
one. What is not in the table is an error. This file refuses to know channels; who is told is `notification`'s part.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping

from alerts.diagram import Edge
from alerts.slo import SEVERITIES


class IncidentState(enum.Enum):
    """State of an incident; the values are the words of the record."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Change(enum.Enum):
    """What may happen to an incident; the values are the words of IncidentTransition.reason."""

    OPENED = "first alert"
    JOINED = "alert joined"
    ROSE = "severity rose"
    FELL = "severity fell"
    LEFT = "alert resolved, others burn"
    FROZE = "alert has no data"
    THAWED = "alert has data again"
    ACKNOWLEDGED = "acknowledged by a person"
    ENDED = "all alerts resolved"
    CLOSED = "resolved by a person"


@dataclasses.dataclass(frozen=True, slots=True)
class Arrow:
    """Where a change leads, and whether it is told as an IncidentTransition record."""

    to: IncidentState
    recorded: bool = True


_OPEN, _ACKNOWLEDGED, _RESOLVED = (
    Arrow(IncidentState.OPEN),
    Arrow(IncidentState.ACKNOWLEDGED),
    Arrow(IncidentState.RESOLVED),
)

TRANSITIONS: Mapping[IncidentState, Mapping[Change, Arrow]] = {
    IncidentState.OPEN: {
        Change.OPENED: _OPEN,
        Change.JOINED: _OPEN,
        Change.ROSE: _OPEN,
        Change.FELL: _OPEN,
        Change.LEFT: _OPEN,
        Change.FROZE: _OPEN,
        Change.THAWED: _OPEN,
        Change.ACKNOWLEDGED: _ACKNOWLEDGED,
        Change.ENDED: _RESOLVED,
        Change.CLOSED: _RESOLVED,
    },
    IncidentState.ACKNOWLEDGED: {
        Change.JOINED: _ACKNOWLEDGED,
        Change.ROSE: _OPEN,
        Change.FELL: _ACKNOWLEDGED,
        Change.LEFT: _ACKNOWLEDGED,
        Change.FROZE: _ACKNOWLEDGED,
        Change.THAWED: _ACKNOWLEDGED,
        Change.ACKNOWLEDGED: Arrow(IncidentState.ACKNOWLEDGED, recorded=False),
        Change.ENDED: _RESOLVED,
        Change.CLOSED: _RESOLVED,
    },
    IncidentState.RESOLVED: {},
}


class NoSuchChange(Exception):
    """The change is not possible in this state."""

    def __init__(self, state: IncidentState, change: Change) -> None:
        super().__init__(f"{change.name} is not possible in state {state.name}")


def step(state: IncidentState, change: Change) -> Arrow:
    """The arrow of the table. Raises NoSuchChange when there is none."""
    arrow = TRANSITIONS[state].get(change)
    if arrow is None:
        raise NoSuchChange(state, change)
    return arrow


def incident_edges() -> list[Edge]:
    """The edges of the table, for `diagram`."""
    return [
        (state.value, arrow.to.value, change.name.lower(), arrow.recorded)
        for state, arrows in TRANSITIONS.items()
        for change, arrow in arrows.items()
    ]


@dataclasses.dataclass(slots=True)
class Part:
    """One alert within an incident: what the newest transition said of it. Times in ms."""

    alert_id: str
    severity: int  # rank in SEVERITIES; 0 once resolved
    frozen: bool
    slo: str
    labels: dict[str, str]
    summary: str
    burn: str  # how fast, as text
    since_ms: int
    budget_left: float
    exemplars: list[str]
    annotations: dict[str, str]


@dataclasses.dataclass(slots=True)
class Incident:
    """One living incident."""

    incident_id: str
    key: str
    labels: dict[str, str]
    title: str
    state: str = IncidentState.OPEN.value
    number: int = 0  # transitions so far
    event_ms: int = 0  # event time of the newest change
    parts: dict[str, Part] = dataclasses.field(default_factory=dict)
    counted: dict[str, dict[str, None]] = dataclasses.field(default_factory=dict)  # past their bound, by severity
    left_out: int = 0  # alerts past that bound too
    told: list[str] = dataclasses.field(default_factory=list)  # channels that were triggered

    def knows(self, alert_id: str) -> bool:
        """Whether the alert is one of its own."""
        return alert_id in self.parts or any(alert_id in names for names in self.counted.values())

    def take(self, part: Part, detailed: int, counted: int) -> bool:
        """The newest of an alert. `detailed` alerts are kept as parts, `counted` more by their severity; past both: False.

        A storm of ten thousand alerts is one incident that ends with the last of them, and rises with the worst.
        """
        name = part.alert_id
        if name in self.parts or (part.severity and self._room(detailed, part.severity)):
            self.parts[name] = part
            self._count(name, 0)
        elif not part.severity or self.knows(name) or self.beyond - self.left_out < counted:
            self._count(name, part.severity)
        else:
            self.left_out += 1
            return False
        return True

    def _room(self, most: int, severity: int) -> bool:
        """Whether one more part fits: what has resolved makes way, the oldest first, then what is less severe."""
        if len(self.parts) < most:
            return True
        name, least = min(self.parts.items(), key=lambda item: item[1].severity)
        if least.severity >= severity:
            return False
        del self.parts[name]
        self._count(name, least.severity)
        return True

    def _count(self, name: str, severity: int) -> None:
        """Keep of the alert no more than its severity; of one that does not burn nothing."""
        for names in self.counted.values():
            names.pop(name, None)
        if severity:
            self.counted.setdefault(SEVERITIES[severity], {})[name] = None

    @property
    def others(self) -> dict[str, int]:
        """Severity rank of each alert that burns past the bound of parts."""
        return {name: SEVERITIES.index(word) for word, names in self.counted.items() for name in names}

    def told_all(self, channels: tuple[str, ...]) -> bool:
        """Whether each of the channels knows of it."""
        return not set(channels) - set(self.told)

    @property
    def beyond(self) -> int:
        """Alerts that burn and of which no more is kept than that."""
        return sum(map(len, self.counted.values())) + self.left_out

    @property
    def severity(self) -> int:
        """Highest severity rank of its alerts. Asked twice for each alert of a storm: it looks at parts, and counts others."""
        worst = max((part.severity for part in self.parts.values()), default=0)
        return max([worst, *(SEVERITIES.index(word) for word, names in self.counted.items() if names)])

    @property
    def severity_word(self) -> str:
        """The same as a word."""
        return SEVERITIES[self.severity]

    @property
    def burning(self) -> list[Part]:
        """Parts that have not resolved, the most severe first, then the oldest."""
        parts = [part for part in self.parts.values() if part.severity]
        return sorted(parts, key=lambda part: (-part.severity, part.since_ms, part.alert_id))


def incident_key(labels: Mapping[str, str], group_by: tuple[str, ...]) -> str:
    """Alerts of equal key share an incident: the values of the group_by labels. Also the key for partitioning alerts."""
    return ",".join(f"{name}={labels.get(name, '')}" for name in sorted(group_by))


def incident_id(key: str, first_transition: str) -> str:
    """Id of an incident: blake2b (8 bytes, hex) of its key and the transition that opened it; the same in every replay."""
    return hashlib.blake2b(f"{key}\0{first_transition}".encode(), digest_size=8).hexdigest()
