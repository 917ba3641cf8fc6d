"""Adapter: records of one partition of one fleet-telemetry topic, to framed telemetry.

What: `take` answers with what a record becomes, under an identity that only the log decides: the source is the vehicle, its boot
the offset at which it was met, the sequence counts its records, whatever is in them. So a replay from any snapshot gives the
same records under the same identities, and whoever reads them counts each once. Why count unreadable ones too: a
reader that learns to read them must not give their neighbours other numbers. It refuses, with CorruptRecord, a record that
cannot be read, and takes nothing of it.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from fleet import events, limits, links, plainjson, reports, signals, wire
from fleet.identity import Naming, vin_of
from fleet.mapping import Mapping as SignalMapping
from fleet.memory import Known, Vehicle, Vehicles
from fleet.messages import Connectivity, Message, Signals
from fleet.reading import Fate
from fleet.rows import Row, framed
from schemas import corrupt
from schemas.corrupt import CorruptRecord
from schemas.encoding import Producer, Resource
from schemas.limits import TIME_BOUND_MS
from schemas.logs import LogBatch, LogRecord
from schemas.records import SourceKind


class Kind(enum.Enum):
    """A kind of record: the end of its topic's name."""

    SIGNALS = "V"
    ALERTS = reports.ALERTS
    ERRORS = reports.ERRORS
    CONNECTIVITY = "connectivity"


class Made(NamedTuple):
    """What a record of a vehicle becomes: framed telemetry, and batches of events."""

    source: str
    telemetry: bytes
    events: tuple[LogBatch, ...] = ()


Reader = Callable[[bytes], Message]
#: Kind -> readers of protobuf and of JSON.
_READERS: Final[Mapping[Kind, tuple[Reader, Reader]]] = {
    Kind.SIGNALS: (wire.signals, plainjson.signals),
    Kind.ALERTS: (wire.alerts, plainjson.alerts),
    Kind.ERRORS: (wire.errors, plainjson.errors),
    Kind.CONNECTIVITY: (wire.connectivity, plainjson.connectivity),
}


class Adapter:
    """One partition. Not thread-safe."""

    def __init__(self, kind: Kind, place: str, mapping: SignalMapping, naming: Naming) -> None:
        """`place`: topic and partition, for the boots."""
        self.kind = kind
        self.vehicles = Vehicles()
        self.known = Known()
        self.fates: collections.Counter[Fate] = collections.Counter()  # of signals, for whoever reports and clears it
        self.beyond = 0  # alerts and errors beyond what is remembered of a vehicle, in the same way
        self._place, self._mapping, self._naming = place, mapping, naming
        self._resource = Resource(mapping.service, "", mapping.environment, mapping.region, SourceKind.VEHICLE)

    def take(self, offset: int, arrived_ms: int, key: bytes | None, value: bytes) -> Made | None:
        """What a record becomes; None where nothing in it counts. `arrived_ms`: of the log. Raises CorruptRecord."""
        vin = vin_of(key, "")
        source = self._naming.source(vin)
        vehicle = self.vehicles.met(source, offset)
        sequence = vehicle.records
        vehicle.records, vehicle.last = sequence + 1, offset
        message = self._read(value)
        vin_of(key, message.vin)
        rows, told = self._said(message, arrived_ms, vehicle, source, self._naming.hidden(vin))
        if not rows:
            return None
        producer = Producer(source, f"{self._place}/{vehicle.born}")
        batches = tuple(events.batches(told, self._resource, producer, sequence))
        return Made(source, framed(rows, self._resource, producer, sequence), batches)

    def _read(self, value: bytes) -> Message:
        if len(value) > limits.RECORD_BYTES:
            raise CorruptRecord(corrupt.SIZE, -1, f"{len(value)} bytes, {limits.RECORD_BYTES} at most")
        protobuf, plain = _READERS[self.kind]
        message = plain(value) if plainjson.is_json(value) else protobuf(value)
        if not 0 < message.created_ms < TIME_BOUND_MS:
            raise CorruptRecord(corrupt.TIME, -1, f"a time of {message.created_ms} ms; a record needs its created_at")
        return message

    def _said(
        self, message: Message, arrived_ms: int, vehicle: Vehicle, source: str, hidden: str
    ) -> tuple[list[Row], list[LogRecord]]:
        """Measurements and events."""
        mapping, known, of = self._mapping, self.known, self.kind.value
        if isinstance(message, Signals):
            rows, fates = signals.rows_of(message, arrived_ms, vehicle, source, mapping, known)
            self.fates += fates
            return rows, []
        if isinstance(message, Connectivity):
            return links.rows_of(message, arrived_ms, vehicle, source, mapping.labels, known), []
        news, beyond = reports.told(of, message, vehicle)
        self.beyond += beyond
        told = [events.event(of, one, mapping, hidden, message.created_ms) for one in news]
        return reports.rows(of, news, mapping.labels, known), told
