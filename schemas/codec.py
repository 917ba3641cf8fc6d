"""Codec: every record but telemetry's own, to framed Avro bytes and back.

What: `encode(record)` and `decode(data)` for the dataclasses of `records`, and a Codec for those who use a registry's
ids. Why: one place knows how a dataclass and its Avro record correspond: field by field, by name. It refuses bytes
that are not exactly one record (CorruptRecord, with byte and reason), and records larger than limits.MESSAGE_BYTES.
Telemetry is decoded by `telemetry`, in columns.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from typing import Final, TypeAlias

import fastavro

from schemas.bundled import released, schema
from schemas.cells import ALL_COLUMNS, Cells, CellsMismatch
from schemas.corrupt import COLUMNS, SIZE, UNKNOWN_SCHEMA, CorruptRecord
from schemas.framing import Lookup, Schema, WriterSchemas, confluent, single_object
from schemas.limits import MESSAGE_BYTES
from schemas.records import (
    AlertTransition,
    BurnReading,
    Command,
    DeadLetter,
    IncidentTransition,
    LateRecord,
    NotificationRecord,
    PartialBatch,
    RollupBatch,
    SloStatus,
)
from schemas.strict import Row, octets, read

Record: TypeAlias = (
    PartialBatch
    | RollupBatch
    | SloStatus
    | AlertTransition
    | IncidentTransition
    | NotificationRecord
    | Command
    | LateRecord
    | DeadLetter
)

#: Name of the Avro record -> (dataclass, file of its schema).
FORMS: Final[Mapping[str, tuple[type[Record], str]]] = {
    "PartialBatch": (PartialBatch, "partial_batch"),
    "RollupBatch": (RollupBatch, "rollup_batch"),
    "SloStatus": (SloStatus, "slo_status"),
    "AlertTransition": (AlertTransition, "alert_transition"),
    "IncidentTransition": (IncidentTransition, "incident_transition"),
    "NotificationRecord": (NotificationRecord, "notification_record"),
    "Command": (Command, "command"),
    "LateRecord": (LateRecord, "late_record"),
    "DeadLetter": (DeadLetter, "dead_letter"),
}
TUPLES: Final = frozenset({"watermarks", "claims", "max_event_ms", "exemplars", "alert_ids", "transition_ids"})
BYTES: Final = frozenset({"original"})


class NotEncodable(ValueError):
    """This record holds a value that its schema has no place for"""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{type(self).__doc__}: {name}: {why[:200]}")


class Codec:
    """Encodes with the registry's ids where `ids` has the record's name, else with single-object encoding; reads both.

    `lookup` answers the schema text of an id, None when the registry has none, and raises when it cannot tell.
    """

    def __init__(self, ids: Mapping[str, int] | None = None, lookup: Lookup | None = None) -> None:
        own = {name: schema(file) for name, (_, file) in FORMS.items()}
        self._own = own
        self._writers = WriterSchemas([*released(), *own.values()], lookup)
        self._headers = {name: single_object(own[name]) for name in own}
        self._headers |= {name: confluent(number) for name, number in (ids or {}).items() if name in own}

    def encode(self, record: Record) -> bytes:
        """Framed bytes. Raises NotEncodable."""
        name = type(record).__name__
        out = io.BytesIO()
        out.write(self._headers[name])
        try:
            fastavro.schemaless_writer(out, self._own[name].parsed, to_row(record))
        except (ValueError, TypeError, OverflowError, KeyError, AttributeError) as error:
            raise NotEncodable(name, f"{type(error).__name__}: {error}") from error
        return out.getvalue()

    def decode(self, data: bytes) -> Record:
        """The record. Raises CorruptRecord."""
        if len(data) > MESSAGE_BYTES:
            raise CorruptRecord(SIZE, MESSAGE_BYTES, f"{len(data)} bytes; the limit is {MESSAGE_BYTES}")
        self._writers.ask_again()
        writer, at = self._writers.of(data)
        reader = self._own.get(writer.name)
        if reader is None:
            raise CorruptRecord(UNKNOWN_SCHEMA, 1, f"{writer.name} is not read here")
        return self._of(read(writer, reader, data, at), reader, at)

    @staticmethod
    def _of(row: Row, reader: Schema, at: int) -> Record:
        try:
            return from_row(row, FORMS[reader.name][0])
        except CellsMismatch as error:
            raise CorruptRecord(COLUMNS, at, str(error)) from error


def to_row(record: Record | BurnReading) -> Row:
    """Field by field, for fastavro."""
    return {field.name: _plain(getattr(record, field.name)) for field in dataclasses.fields(record)}


def _plain(value: object) -> object:
    """The Avro form of a field."""
    if isinstance(value, Cells):
        return value.columns()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, BurnReading):
        return to_row(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value


def from_row(row: Row, form: type[Record]) -> Record:
    """Inverse of `to_row`. Raises CellsMismatch."""
    values: Row = {}
    for field in dataclasses.fields(form):
        value = row[field.name]
        if field.name == "cells" and isinstance(value, dict):
            value = Cells.from_columns({name: octets(value, name) for name in ALL_COLUMNS})
        elif field.name == "burn" and isinstance(value, list):
            value = tuple(BurnReading(**reading) for reading in value)
        elif field.name in TUPLES and isinstance(value, list):
            value = tuple(value)
        elif field.name in BYTES:
            value = octets(row, field.name)
        values[field.name] = value
    return form(**values)  # type: ignore[arg-type]


_PLAIN: Final = Codec()


def encode(record: Record) -> bytes:
    """Bytes in single-object encoding. Raises NotEncodable."""
    return _PLAIN.encode(record)


def decode(data: bytes) -> Record:
    """A record in single-object encoding with a bundled or released schema. Raises CorruptRecord."""
    return _PLAIN.decode(data)
