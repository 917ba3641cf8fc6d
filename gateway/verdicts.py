"""Verdicts: each record of a body judged by itself, before anything is sent.

What: the strict reader of `schemas` decides whether a record is good; the identity decides whether it may say so; the
answer names reason and byte. Why: one bad record must cost itself and not its neighbours, and what the gateway takes
must be what the workers take. It refuses to repair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from gateway.identity import Identity
from gateway.limits import DETAIL_CHARS
from schemas import corrupt, limits
from schemas.bundled import released
from schemas.corrupt import CorruptRecord
from schemas.framing import (
    CONFLUENT_HEADER_BYTES,
    CONFLUENT_MARK,
    SINGLE_OBJECT_HEADER_BYTES,
    Schema,
    WriterSchemas,
    single_object,
)
from schemas.logs import LOGS, LogBatch, read_logs
from schemas.telemetry_rows import TelemetryRow, read_batch, read_event
from schemas.telemetry_schema import BATCH, EVENT

STORED: Final = "stored"
DUPLICATE: Final = "duplicate"  # this gateway has seen it acknowledged before: as good as accepted
SPOOLED: Final = "spooled"  # on the gateway's disk, and Kafka gets it when it is back: accepted
RETRY: Final = "retry"  # not now: the same record may be taken later
REJECTED: Final = "rejected"  # sending it again cannot help

#: Reasons of this room, beside those of schemas.corrupt.
SOURCE: Final = "source"  # not one of the identity's sources
JSON: Final = "json"  # not the shape of docs/howto/send-over-http.md

_SCHEMAS: Final = WriterSchemas([*released(), EVENT, BATCH, LOGS])
_CONFLUENT: Final = (
    "Confluent's prefix is for Kafka, where workers ask their registry; over HTTP send single-object encoding (C3 01)"
)
_LOGS: Final = frozenset(single_object(each) for each in (*released(), LOGS) if each.name == LOGS.name)


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one record. `byte` is -1 where no byte is to blame."""

    status: str
    reason: str = ""
    detail: str = ""
    byte: int = -1
    retry_after_s: int = 0

    def plain(self) -> dict[str, object]:
        """For JSON."""
        if self.status not in (REJECTED, RETRY):
            return {"status": self.status}
        return {"status": self.status, "reason": self.reason, "detail": self.detail, "byte": self.byte}


@dataclasses.dataclass(slots=True)
class Record:
    """A good record, ready to be sent."""

    value: bytes
    source: str
    boot: str
    sequence: int
    measurements: int  # or log records
    metrics: frozenset[str]
    series: tuple[int, ...]  # identities of its series
    key: bytes  # decides the partition
    logs: bool = False


def rejected(reason: str, detail: str, byte: int = -1) -> Verdict:
    """A verdict against a record, for good."""
    return Verdict(REJECTED, reason, detail[:DETAIL_CHARS], byte)


def retry(reason: str, detail: str, retry_after_s: int) -> Verdict:
    """A verdict against a record, for so many seconds."""
    return Verdict(RETRY, reason, detail[:DETAIL_CHARS], retry_after_s=retry_after_s)


def judged(data: bytes, identity: Identity) -> Record | Verdict:
    """The record, or why not. Never raises for what is in the bytes."""
    try:
        row = _logs(data) if are_logs(data) else read(data)
    except CorruptRecord as error:
        return rejected(error.reason, error.detail, error.byte)
    if not identity.may_be(row.source):
        return rejected(SOURCE, f"{row.source[:40]!r} is not a source of these credentials")
    if isinstance(row, LogBatch):
        return Record(
            data, row.source, row.boot, row.sequence, len(row.records), frozenset(), (), row.key, logs=True
        )  # fmt: skip
    return Record(
        value=data,
        source=row.source,
        boot=row.boot,
        sequence=row.sequence,
        measurements=len(row.value),
        metrics=frozenset(definition.metric for definition in row.definitions),
        series=tuple(definition.id for definition in row.definitions),
        key=row.source.encode(),
    )


def judging(data: bytes, identity: Identity) -> Iterator[Record | Verdict]:
    """The same, for another process."""
    yield judged(data, identity)


def are_logs(data: bytes) -> bool:
    """Whether framed bytes say that they are a LogBatch."""
    return data[:SINGLE_OBJECT_HEADER_BYTES] in _LOGS


def _logs(data: bytes) -> LogBatch:
    """Raises CorruptRecord."""
    return read_logs(*_framing(data))


def _framing(data: bytes) -> tuple[Schema, bytes, int]:
    """(writer's schema, the bytes, first byte of the record) of bytes that are not too many. Raises CorruptRecord."""
    if len(data) > limits.RECORD_BYTES:
        raise CorruptRecord(corrupt.SIZE, limits.RECORD_BYTES, f"{len(data)} bytes; the limit is {limits.RECORD_BYTES}")
    if data[:1] == CONFLUENT_MARK:
        whole = len(data) >= CONFLUENT_HEADER_BYTES
        raise CorruptRecord(*((corrupt.UNKNOWN_SCHEMA, 1) if whole else (corrupt.FRAMING, 0)), _CONFLUENT)
    writer, at = _SCHEMAS.of(data)
    return writer, data, at


def read(data: bytes) -> TelemetryRow:
    """One TelemetryBatch or TelemetryEvent in single-object encoding. Raises CorruptRecord."""
    writer, data, at = _framing(data)
    if writer.name == BATCH.name:
        return read_batch(writer, data, at)
    if writer.name == EVENT.name:
        return read_event(writer, data, at)
    raise CorruptRecord(corrupt.UNKNOWN_SCHEMA, 1, f"{writer.name} is no schema of telemetry")
