"""The records of the contract: what travels on the topics, as frozen values.

What: one dataclass for each Avro record that people and agents read; identities are computed here, once. Why: a
record's meaning, its units and its identity belong in one place. It refuses to encode whole messages (`codec`) and
to decode telemetry (`telemetry`).
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import io
from collections.abc import Mapping

import fastavro

from schemas.bundled import schema
from schemas.cells import Cells
from schemas.walk import number


class SourceKind(enum.IntEnum):
    """Kind of source; the order is the wire index and the index of every per-kind array."""

    WEB = 0
    DESKTOP = 1
    VEHICLE = 2
    OTHER = 3


class MeasureKind(enum.IntEnum):
    """Kind of metric; the order is the wire index."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2
    OUTCOME = 3


class FeedMode(enum.IntEnum):
    """How a measurement counts towards an SLO group's good and total."""

    OUTCOME = 0  # total 1, good by the outcome flag
    TOTAL = 1  # total += value
    GOOD_AND_TOTAL = 2  # good and total += value
    AT_MOST = 3  # total 1, good if value <= threshold
    BELOW = 4  # total 1, good if value < threshold
    AT_LEAST = 5  # total 1, good if value >= threshold
    ABOVE = 6  # total 1, good if value > threshold


MEASURE_KINDS = tuple(kind.name.lower() for kind in MeasureKind)
SOURCE_KINDS = tuple(kind.name.lower() for kind in SourceKind)

DEFINITION_SCHEMA = schema("series_definition").parsed
GROUP_SCHEMA = schema("slo_group").parsed


class NotADefinition(ValueError):
    """These bytes are not the canonical form of a series or an SLO group"""


def _row(data: bytes, written: dict[str, object]) -> dict[str, object]:
    try:
        row = fastavro.schemaless_reader(io.BytesIO(data), written, None)
    except (EOFError, ValueError, IndexError) as error:
        raise NotADefinition(NotADefinition.__doc__) from error
    if not isinstance(row, dict):
        raise NotADefinition(NotADefinition.__doc__)
    return row


_SHORT = tuple(number(size) for size in range(64))


def _avro_text(text: str) -> bytes:
    data = text.encode()
    return (_SHORT[len(data)] if len(data) < len(_SHORT) else number(len(data))) + data


def _labels(value: object) -> dict[str, str]:
    return value if isinstance(value, dict) else {}


def short_hash(data: bytes) -> int:
    """First eight bytes of BLAKE2b, little-endian: the identity hash of series, groups and producers."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


@dataclasses.dataclass(frozen=True, slots=True)
class SeriesDefinition:
    """What a series is: metric, kind, unit, kind of source, labels (resource labels merged in)."""

    metric: str
    kind: MeasureKind
    unit: str
    source_kind: SourceKind
    labels: Mapping[str, str]
    _canonical: bytes = dataclasses.field(default=b"", init=False, repr=False, compare=False)

    def canonical(self) -> bytes:
        """Avro bytes with the labels in order of their keys: equal series have equal bytes."""
        if not self._canonical:
            object.__setattr__(self, "_canonical", self._written())
        return self._canonical

    def _written(self) -> bytes:
        """As fastavro writes DEFINITION_SCHEMA, in a fifth of the time: each new series comes by here."""
        parts = [
            _avro_text(self.metric),
            number(self.kind),
            _avro_text(self.unit),
            number(self.source_kind),
        ]
        if self.labels:
            parts.append(number(len(self.labels)))
            for key, value in sorted(self.labels.items()):
                parts += (_avro_text(key), _avro_text(value))
        parts.append(b"\0")
        return b"".join(parts)

    @property
    def id(self) -> int:
        """64-bit identity, see `short_hash`."""
        return short_hash(self.canonical())

    @classmethod
    def from_bytes(cls, data: bytes) -> SeriesDefinition:
        """Inverse of `canonical`. Raises NotADefinition."""
        row = _row(data, DEFINITION_SCHEMA)
        return cls(
            metric=str(row["metric"]),
            kind=MeasureKind(MEASURE_KINDS.index(str(row["kind"]))),
            unit=str(row["unit"]),
            source_kind=SourceKind(SOURCE_KINDS.index(str(row["source_kind"]))),
            labels=_labels(row["labels"]),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class SloGroup:
    """One SLO's objective for one set of group labels: the unit that burns and pages."""

    slo: str
    objective: int
    labels: Mapping[str, str]

    def canonical(self) -> bytes:
        """Avro bytes with the labels in order of their keys."""
        out = io.BytesIO()
        row = {"slo": self.slo, "objective": self.objective, "labels": dict(sorted(self.labels.items()))}
        fastavro.schemaless_writer(out, GROUP_SCHEMA, row)
        return out.getvalue()

    @property
    def id(self) -> int:
        """64-bit identity: hash of slo, objective and the sorted labels."""
        labels = ",".join(f"{key}={value}" for key, value in sorted(self.labels.items()))
        return short_hash(f"{self.slo}\0{self.objective}\0{labels}".encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> SloGroup:
        """Inverse of `canonical`. Raises NotADefinition."""
        row = _row(data, GROUP_SCHEMA)
        return cls(slo=str(row["slo"]), objective=int(str(row["objective"])), labels=_labels(row["labels"]))


@dataclasses.dataclass(frozen=True, slots=True)
class Feed:
    """A series' share in an SLO group. `threshold` is in the measurement's unit, for the threshold modes."""

    group: SloGroup
    mode: FeedMode
    threshold: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class PartialBatch:
    """One source partition's changed cells for one target partition, true as of `as_of`; also the heartbeat of time."""

    partition: int  # source partition
    as_of: int  # source offset
    epoch: int
    now_ms: int
    watermarks: tuple[int, ...]  # by SourceKind
    max_event_ms: tuple[int, ...]  # by SourceKind
    cells: Cells
    claims: tuple[int, ...] = ()  # (kind of source, pane start in ms, measurements), one after the other


@dataclasses.dataclass(frozen=True, slots=True)
class RollupBatch:
    """All series of one merge partition and window that changed at one checkpoint; rows are full current values."""

    window_ms: int
    start_ms: int
    partition: int
    batch: int  # counts the batches of this window
    watermarks: tuple[int, ...]
    cells: Cells


@dataclasses.dataclass(frozen=True, slots=True)
class BurnReading:
    """One tier of the policy, read at one time. Windows in ms, counts in measurements."""

    severity: str
    long_ms: int
    short_ms: int
    factor: float
    long_good: float
    long_total: float
    short_good: float
    short_total: float
    long_burn: float
    short_burn: float
    wilson_low: float
    exceeded: bool


@dataclasses.dataclass(frozen=True, slots=True)
class SloStatus:
    """Where an SLO group stands. `good` and `total` over the period in units of 2**-20."""

    slo: str
    objective: int
    labels: Mapping[str, str]
    state: str  # healthy | burning | unmeasured | exhausted
    severity: str  # none | ticket | page
    good: int
    total: int
    budget_left: float  # fraction of the period's budget
    burn: tuple[BurnReading, ...]
    coverage: float
    last_data_ms: int
    event_ms: int
    config_hash: str


@dataclasses.dataclass(frozen=True, slots=True)
class AlertTransition:
    """One change of an alert, with all that explains it."""

    transition_id: str
    alert_id: str
    number: int
    slo: str
    objective: int
    labels: Mapping[str, str]
    state: str  # inactive | firing | resolved
    severity: str  # none | ticket | page
    previous_severity: str
    frozen: bool
    event_ms: int
    burn_started_ms: int
    detected_ms: int
    target: float
    period_ms: int
    burn: tuple[BurnReading, ...]
    budget_left: float
    exemplars: tuple[str, ...]
    watermark_ms: int
    partition: int
    offset: int
    source_offsets: Mapping[str, int]
    config_hash: str
    policy: str
    annotations: Mapping[str, str]
    summary: str


@dataclasses.dataclass(frozen=True, slots=True)
class IncidentTransition:
    """One change of an incident."""

    incident_id: str
    number: int
    state: str  # open | acknowledged | resolved
    severity: str
    title: str
    alert_ids: tuple[str, ...]
    transition_ids: tuple[str, ...]
    labels: Mapping[str, str]
    event_ms: int
    at_ms: int
    actor: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class NotificationRecord:
    """One telling through one channel, and what came of it."""

    notification_id: str  # idempotency key
    incident_id: str
    channel: str
    action: str  # trigger | update | acknowledge | resolve
    dedup_key: str
    severity: str
    summary: str
    source: str
    event_ms: int
    created_ms: int
    details: Mapping[str, str]
    status: str  # pending | delivered | failed | abandoned
    attempts: int
    last_error: str
    delivered_ms: int
    response: str


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """What a person asks for."""

    command_id: str
    kind: str  # acknowledge | resolve
    target: str
    actor: str
    at_ms: int
    arguments: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class LateRecord:
    """A record that came beyond the late horizon or from the future: original bytes, where it was, why."""

    source_topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reason: str
    detail: str
    byte: int  # -1 where no byte is to blame
    original: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read: original bytes, where it was, which byte, why."""

    source_topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reason: str
    detail: str
    byte: int
    original: bytes
