"""Telemetry records read one at a time, strictly: what the fast path does not know, and what it finds odd.

What: one TelemetryEvent or TelemetryBatch as plain values, each checked against the limits. Why: it is the one place
that decides what a good record is; the fast path takes only what is plainly good and leaves the rest to this. It
refuses a whole record for one bad value, and names the byte at which its field begins.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from schemas import corrupt, limits
from schemas.framing import Schema
from schemas.measurements import OUTCOME_NONE
from schemas.records import MEASURE_KINDS, SOURCE_KINDS, MeasureKind, SeriesDefinition, SourceKind, short_hash
from schemas.stamps import FIELDS as STAMPS
from schemas.strict import Refusal, Row, checked, mapping, octets, rows, text, whole
from schemas.telemetry_schema import BATCH, EVENT

COLUMN_FIELDS = ("series_index", "delta_ms", "values", "outcomes")
RESOURCE_LABELS = ("service", "version", "environment", "region")


@dataclasses.dataclass(slots=True)
class TelemetryRow:
    """One record's measurements, columns of shape (n,). `series` counts in `definitions`."""

    source: str
    boot: str
    sequence: int
    definitions: list[SeriesDefinition]
    series: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    exemplars: list[tuple[int, bytes]]  # (row, trace id)
    stamps: tuple[int, ...] = (0,) * len(STAMPS)  # see `schemas.stamps`; an event has none

    @property
    def producer(self) -> int:
        """Identity of (source, boot)."""
        return producer_id(self.source, self.boot)


def producer_id(source: str, boot: str) -> int:
    """64-bit identity of one run of one source."""
    return short_hash(f"{source}\0{boot}".encode())


def read_event(writer: Schema, data: bytes, at: int) -> TelemetryRow:
    """The one measurement of a TelemetryEvent. Raises CorruptRecord."""
    return checked(writer, EVENT, data, at, event_row)


def read_batch(writer: Schema, data: bytes, at: int) -> TelemetryRow:
    """The measurements of a TelemetryBatch. Raises CorruptRecord."""
    return checked(writer, BATCH, data, at, batch_row)


def event_row(row: Row) -> TelemetryRow:
    """Checked values of an event. Raises Refusal."""
    check_chars(row, "source", limits.SOURCE_CHARS)
    check_chars(row, "boot", limits.SOURCE_CHARS)
    time_ms = np.array([whole(row, "time_ms")], np.int64)
    check_times(time_ms, "time_ms")
    value = np.array([row.get("value")], np.float64)
    check_values(value, "value")
    outcome = whole(row, "outcome")
    if not 0 <= outcome <= OUTCOME_NONE:
        raise Refusal("outcome", corrupt.OUTCOME, f"an outcome of {outcome}")
    trace = octets(row, "trace_id")
    if len(trace) not in (0, limits.TRACE_BYTES):
        raise Refusal("trace_id", corrupt.TRACE, f"a trace id of {len(trace)} bytes")
    resource = mapping(row, "resource")
    check_resource(resource)
    return TelemetryRow(
        source=text(row, "source"),
        boot=text(row, "boot"),
        sequence=whole(row, "sequence"),
        definitions=[definition_of(row, resource, "metric")],
        series=np.zeros(1, np.int64),
        time_ms=time_ms,
        value=value,
        outcome=np.array([outcome], np.uint8),
        exemplars=[(0, trace)] if trace else [],
    )


def batch_row(row: Row) -> TelemetryRow:
    """Checked values of a batch. Raises Refusal."""
    check_chars(row, "source", limits.SOURCE_CHARS)
    check_chars(row, "boot", limits.SOURCE_CHARS)
    series, delta, value, outcome = batch_columns(row)
    base = whole(row, "base_ms")
    if not 0 <= base < limits.TIME_BOUND_MS:
        raise Refusal("base_ms", corrupt.TIME, f"a base of {base} ms")
    time_ms = delta + base
    check_times(time_ms, "delta_ms")
    check_values(value, "values")
    if int(outcome.max(initial=0)) > OUTCOME_NONE:
        raise Refusal("outcomes", corrupt.OUTCOME, f"an outcome of {int(outcome.max())}")
    definitions = batch_definitions(row)
    if int(series.max(initial=-1)) >= len(definitions):
        detail = f"series {int(series.max())} of {len(definitions)}"
        raise Refusal("series_index", corrupt.SERIES_INDEX, detail)
    return TelemetryRow(
        source=text(row, "source"),
        boot=text(row, "boot"),
        sequence=whole(row, "sequence"),
        definitions=definitions,
        series=series,
        time_ms=time_ms,
        value=value,
        outcome=outcome,
        exemplars=batch_exemplars(row, len(value)),
        stamps=tuple(whole(row, field) for field in STAMPS),
    )


def batch_columns(row: Row) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]:
    """(series places, time deltas ms, values, outcomes), shapes (n,), lengths and checksum proved. Raises Refusal."""
    index, delta, values, outcomes = (octets(row, field) for field in COLUMN_FIELDS)
    count = len(values) // 8
    if count > limits.BATCH_MEASUREMENTS:
        raise Refusal("values", corrupt.SIZE, f"{count} measurements; the limit is {limits.BATCH_MEASUREMENTS}")
    for field, found, expected in (
        ("values", len(values), 8 * count),
        ("series_index", len(index), 4 * count),
        ("delta_ms", len(delta), 4 * count),
        ("outcomes", len(outcomes), count if outcomes else 0),
    ):
        if found != expected:
            raise Refusal(field, corrupt.COLUMNS, f"{found} bytes where {count} measurements need {expected}")
    crc = 0
    for column in (index, delta, values, outcomes):
        crc = zlib.crc32(column, crc)
    if crc != whole(row, "crc32"):
        raise Refusal("crc32", corrupt.CRC, f"the columns have the CRC-32 {crc}, the record says {whole(row, 'crc32')}")
    return (
        np.frombuffer(index, "<u4").astype(np.int64),
        np.frombuffer(delta, "<u4").astype(np.int64),
        np.frombuffer(values, "<f8").astype(np.float64),
        np.frombuffer(outcomes, np.uint8) if outcomes else np.full(count, OUTCOME_NONE, np.uint8),
    )


def batch_definitions(row: Row) -> list[SeriesDefinition]:
    """The series table. Raises Refusal."""
    resource = mapping(row, "resource")
    check_resource(resource)
    entries = rows(row, "series")
    if len(entries) > limits.BATCH_SERIES:
        raise Refusal("series", corrupt.SIZE, f"{len(entries)} series; the limit is {limits.BATCH_SERIES}")
    return [definition_of(entry, resource, "series") for entry in entries]


def batch_exemplars(row: Row, count: int) -> list[tuple[int, bytes]]:
    """(row, trace id), ordered by row. Raises Refusal."""
    found = []
    for exemplar in rows(row, "exemplars"):
        at, trace = whole(exemplar, "row"), octets(exemplar, "trace_id")
        if not 0 <= at < count:
            raise Refusal("exemplars", corrupt.EXEMPLAR, f"an exemplar of row {at} of {count}")
        if len(trace) != limits.TRACE_BYTES:
            raise Refusal("exemplars", corrupt.TRACE, f"a trace id of {len(trace)} bytes")
        found.append((at, trace))
    return sorted(found, key=lambda exemplar: exemplar[0])


def definition_of(entry: Row, resource: Row, field: str) -> SeriesDefinition:
    """The series of one entry, the resource's labels merged in (the entry's win). Raises Refusal, naming `field`."""
    metric, unit, own = text(entry, "metric"), text(entry, "unit"), mapping(entry, "labels")
    if not metric:
        raise Refusal(field, corrupt.METRIC, "a series without a name")
    if len(metric) > limits.METRIC_CHARS or len(unit) > limits.UNIT_CHARS:
        raise Refusal(field, corrupt.SIZE, f"a name of {len(metric)} and a unit of {len(unit)} characters")
    labels = {name: text(resource, name) for name in RESOURCE_LABELS if resource.get(name)}
    for key, value in own.items():
        labels[key] = str(value)
    check_labels(labels, field, limits.LABELS)
    return SeriesDefinition(
        metric=metric,
        kind=MeasureKind(MEASURE_KINDS.index(text(entry, "kind"))),
        unit=unit,
        source_kind=SourceKind(SOURCE_KINDS.index(text(resource, "source_kind"))),
        labels=labels,
    )


def check_resource(resource: Row) -> None:
    """Raise Refusal where the free attributes are beyond the limits; the others are checked as labels."""
    attributes = {key: str(value) for key, value in mapping(resource, "attributes").items()}
    check_labels(attributes, "resource", limits.ATTRIBUTES)


def check_labels(labels: Mapping[str, str], field: str, most: int) -> None:
    """Raise Refusal where labels are too many or too long."""
    if len(labels) > most:
        raise Refusal(field, corrupt.SIZE, f"{len(labels)} labels; the limit is {most}")
    for key, value in labels.items():
        if len(key) > limits.LABEL_KEY_CHARS or len(value) > limits.LABEL_VALUE_CHARS:
            raise Refusal(field, corrupt.SIZE, f"label {key[:40]!r} of {len(key)} + {len(value)} characters")


def check_chars(row: Row, field: str, most: int) -> None:
    """Raise Refusal where a text is too long."""
    if len(text(row, field)) > most:
        raise Refusal(field, corrupt.SIZE, f"{len(text(row, field))} characters; the limit is {most}")


def check_times(time_ms: NDArray[np.int64], field: str) -> None:
    """Raise Refusal for the first event time out of bounds."""
    bad = np.flatnonzero((time_ms < 0) | (time_ms >= limits.TIME_BOUND_MS))
    if len(bad):
        raise Refusal(field, corrupt.TIME, f"event time {int(time_ms[bad[0]])} ms in row {int(bad[0])}")


def check_values(value: NDArray[np.float64], field: str) -> None:
    """Raise Refusal for the first value that is NaN, infinite or too large."""
    bad = np.flatnonzero(~(np.abs(value) < limits.VALUE_BOUND))
    if len(bad):
        raise Refusal(field, corrupt.VALUE, f"the value {float(value[bad[0]])} in row {int(bad[0])}")
