"""Adapter: records of one partition of one fleet-telemetry topic, to framed telemetry.

What: `take` answers with the record that a record becomes, under an identity that only the log decides: the source is the
vehicle, its boot the offset at which it was met, the sequence counts its records, whatever is in them. So a replay from any
snapshot gives the same records under the same identities, and the platform counts each once. Why count unreadable ones too: a
reader that learns to read them must not give their neighbours other numbers. It refuses, with CorruptRecord, a record that
cannot be read, and takes nothing of it.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable, Mapping
from typing import Final

from fleet import limits, links, plainjson, reports, signals, wire
from fleet.identity import Naming, vin_of
from fleet.mapping import Mapping as SignalMapping
from fleet.memory import Known, Vehicle, Vehicles
from fleet.messages import Connectivity, Message, Reports, Signals
from fleet.reading import Fate
from fleet.rows import Row, framed
from schemas import corrupt
from schemas.corrupt import CorruptRecord
from schemas.encoding import Producer, Resource
from schemas.limits import TIME_BOUND_MS
from schemas.records import SourceKind


class Kind(enum.Enum):
    """A kind of record: the end of its topic's name."""

    SIGNALS = "V"
    ALERTS = "alerts"
    ERRORS = "errors"
    CONNECTIVITY = "connectivity"


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
        self._place, self._mapping, self._naming = place, mapping, naming
        self._resource = Resource(mapping.service, "", mapping.environment, mapping.region, SourceKind.VEHICLE)

    def take(self, offset: int, key: bytes | None, value: bytes) -> tuple[str, bytes] | None:
        """(source, framed telemetry) of a record; None where nothing in it counts. Raises CorruptRecord."""
        vin = vin_of(key, "")
        source = self._naming.source(vin)
        vehicle = self.vehicles.met(source, offset)
        sequence = vehicle.records
        vehicle.records, vehicle.last = sequence + 1, offset
        message = self._read(value)
        vin_of(key, message.vin)
        rows = self._rows(message, vehicle, source)
        if not rows:
            return None
        boot = f"{self._place}/{vehicle.born}"
        return source, framed(rows, self._resource, Producer(source, boot), sequence)

    def _read(self, value: bytes) -> Message:
        if len(value) > limits.RECORD_BYTES:
            raise CorruptRecord(corrupt.SIZE, -1, f"{len(value)} bytes, {limits.RECORD_BYTES} at most")
        protobuf, plain = _READERS[self.kind]
        message = plain(value) if plainjson.is_json(value) else protobuf(value)
        for at in times(message):
            if not 0 < at < TIME_BOUND_MS:
                raise CorruptRecord(corrupt.TIME, -1, f"a time of {at} ms; a record needs its created_at")
        return message

    def _rows(self, message: Message, vehicle: Vehicle, source: str) -> list[Row]:
        mapping, known = self._mapping, self.known
        if isinstance(message, Signals):
            rows, fates = signals.rows_of(message, vehicle, source, mapping, known)
            self.fates += fates
            return rows
        if isinstance(message, Connectivity):
            return links.rows_of(message, vehicle, source, mapping.labels, known)
        counted = reports.alert_rows if self.kind is Kind.ALERTS else reports.error_rows
        return counted(message, vehicle, mapping.labels, known)


def times(message: Message) -> list[int]:
    """All times of a message that become event times."""
    found = [message.created_ms]
    if isinstance(message, Reports):
        found += [at for report in message.reports for at in (report.started_ms, report.ended_ms) if at]
    return found
