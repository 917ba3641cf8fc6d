"""Logs: batches of log records and events, as values and as framed bytes.

What: `LogBatch` and its records, the strict reader, the writer, and OpenTelemetry's severities by name. Why: gateway,
client and command line must mean the same record by (source, boot, sequence, place). It refuses a whole batch for one
record beyond a limit, with byte and reason, as the telemetry reader does.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from typing import Final

import fastavro

from schemas import corrupt, limits
from schemas.bundled import schema
from schemas.encoding import Resource
from schemas.framing import Schema, single_object
from schemas.records import SOURCE_KINDS, SourceKind
from schemas.strict import Refusal, Row, checked, mapping, octets, rows, text, whole
from schemas.telemetry_rows import RESOURCE_LABELS, check_chars, check_resource

LOGS: Final = schema("log_batch")

#: The least number of each severity, in order: `(number - 1) // 4` is its place.
SEVERITIES: Final[Mapping[str, int]] = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
SEVERITY_MOST: Final = 24


def severity_name(number: int) -> str:
    """The severity's name; "" for none that is known."""
    return tuple(SEVERITIES)[(number - 1) // 4] if 0 < number <= SEVERITY_MOST else ""


@dataclasses.dataclass(frozen=True, slots=True)
class LogRecord:
    """See the Avro record of this name."""

    time_ms: int
    observed_ms: int = 0
    severity: int = 0
    severity_text: str = ""
    event: str = ""
    body: str = ""
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    trace_id: bytes = b""
    span_id: bytes = b""
    left_out: int = 0

    @property
    def at_ms(self) -> int:
        """When it happened, as far as anybody knows."""
        return self.time_ms or self.observed_ms


@dataclasses.dataclass(frozen=True, slots=True)
class LogBatch:
    """See the Avro record of this name. Clocks in ms."""

    source: str
    boot: str
    sequence: int
    resource: Resource
    records: tuple[LogRecord, ...]
    created_wall_ms: int = 0
    created_mono_ms: int = 0
    sent_wall_ms: int = 0
    sent_mono_ms: int = 0

    @property
    def key(self) -> bytes:
        """What decides the partition: the service, so that one service's records are in order; else the source."""
        return (self.resource.service or self.source).encode()


def encode_logs(batch: LogBatch) -> bytes:
    """Framed bytes; limits are the reader's business. Raises ValueError, OverflowError for what has no Avro form."""
    row: dict[str, object] = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    row["resource"] = batch.resource.row()
    row["records"] = [{**dataclasses.asdict(record), "attributes": dict(record.attributes)} for record in batch.records]
    out = io.BytesIO()
    out.write(single_object(LOGS))
    fastavro.schemaless_writer(out, LOGS.parsed, row)
    return out.getvalue()


def read_logs(writer: Schema, data: bytes, at: int) -> LogBatch:
    """The batch that begins at byte `at`. Raises CorruptRecord."""
    return checked(writer, LOGS, data, at, _batch)


def _batch(row: Row) -> LogBatch:
    """Raises Refusal."""
    check_chars(row, "source", limits.SOURCE_CHARS)
    check_chars(row, "boot", limits.SOURCE_CHARS)
    found = rows(row, "records")
    if len(found) > limits.LOG_RECORDS:
        raise Refusal("records", corrupt.SIZE, f"{len(found)} records; the limit is {limits.LOG_RECORDS}")
    return LogBatch(
        source=text(row, "source"),
        boot=text(row, "boot"),
        sequence=whole(row, "sequence"),
        resource=_resource(mapping(row, "resource")),
        records=tuple(_record(one, place) for place, one in enumerate(found)),
        **{name: whole(row, name) for name in ("created_wall_ms", "created_mono_ms", "sent_wall_ms", "sent_mono_ms")},
    )


def _resource(row: Row) -> Resource:
    """Raises Refusal."""
    check_resource(row)
    named = {name: text(row, name) for name in RESOURCE_LABELS}
    for name, value in named.items():
        if len(value) > limits.LABEL_VALUE_CHARS:
            raise Refusal("resource", corrupt.SIZE, f"{name} of {len(value)} characters")
    kind = SourceKind(SOURCE_KINDS.index(text(row, "source_kind")))
    attributes = {key: str(value) for key, value in mapping(row, "attributes").items()}
    return Resource(**named, source_kind=kind, attributes=attributes)


def _record(row: Row, place: int) -> LogRecord:
    """Raises Refusal."""
    record = LogRecord(
        time_ms=whole(row, "time_ms"),
        observed_ms=whole(row, "observed_ms"),
        severity=whole(row, "severity"),
        severity_text=text(row, "severity_text"),
        event=text(row, "event"),
        body=text(row, "body"),
        attributes={key: str(value) for key, value in mapping(row, "attributes").items()},
        trace_id=octets(row, "trace_id"),
        span_id=octets(row, "span_id"),
        left_out=whole(row, "left_out"),
    )
    why = _fault(record)
    if why is not None:
        raise Refusal("records", why[0], f"record {place}: {why[1]}")
    return record


def _fault(record: LogRecord) -> tuple[str, str] | None:
    """(reason, detail) of the first limit that the record is beyond."""
    if not (0 <= record.time_ms < limits.TIME_BOUND_MS and 0 <= record.observed_ms < limits.TIME_BOUND_MS):
        return corrupt.TIME, f"times {record.time_ms} and {record.observed_ms} ms"
    if not 0 <= record.severity <= SEVERITY_MOST:
        return corrupt.SEVERITY, f"a severity of {record.severity}"
    if len(record.trace_id) not in (0, limits.TRACE_BYTES) or len(record.span_id) not in (0, limits.SPAN_BYTES):
        return corrupt.TRACE, f"a trace id of {len(record.trace_id)} bytes, a span id of {len(record.span_id)}"
    for name, value, most in (
        ("severity_text", record.severity_text, limits.SEVERITY_CHARS),
        ("event", record.event, limits.METRIC_CHARS),
        ("body", record.body, limits.LOG_BODY_CHARS),
    ):
        if len(value) > most:
            return corrupt.SIZE, f"{name} of {len(value)} characters; the limit is {most}"
    if len(record.attributes) > limits.LOG_ATTRIBUTES:
        return corrupt.SIZE, f"{len(record.attributes)} attributes; the limit is {limits.LOG_ATTRIBUTES}"
    for key, value in record.attributes.items():
        if len(key) > limits.LOG_KEY_CHARS or len(value) > limits.LOG_VALUE_CHARS:
            return corrupt.SIZE, f"attribute {key[:40]!r} of {len(key)} + {len(value)} characters"
    return None
