"""Encoding: telemetry records as framed bytes, for tests, benchmarks and adapters.

What: the inverse of the decoder; one event, one batch, or very many events at once. Why: load must be made faster than
it is read, and laws need a writer that shares nothing with the reader but the schema. It refuses to check limits: it
must be able to write what the decoder refuses. (The client library has an encoder of its own.)
"""

from __future__ import annotations

import dataclasses
import io
import zlib
from collections.abc import Mapping, Sequence

import fastavro
import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.framing import confluent, single_object
from schemas.records import MEASURE_KINDS, SOURCE_KINDS, MeasureKind, SourceKind
from schemas.telemetry_schema import BATCH, EVENT
from schemas.walk import number

_NUMBER_BYTES = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """What measures: see the Avro record of this name."""

    service: str = ""
    version: str = ""
    environment: str = ""
    region: str = ""
    source_kind: SourceKind = SourceKind.OTHER
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """For fastavro."""
        return {
            "service": self.service,
            "version": self.version,
            "environment": self.environment,
            "region": self.region,
            "source_kind": SOURCE_KINDS[self.source_kind],
            "attributes": dict(self.attributes),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class SeriesEntry:
    """One series, without the resource's labels: see the Avro record of this name."""

    metric: str
    kind: MeasureKind = MeasureKind.GAUGE
    unit: str = "1"
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """For fastavro."""
        kind = MEASURE_KINDS[self.kind]
        return {"metric": self.metric, "kind": kind, "unit": self.unit, "labels": dict(self.labels)}


@dataclasses.dataclass(frozen=True, slots=True)
class Producer:
    """One run of one source."""

    source: str = "source"
    boot: str = "boot"

    def encoded(self) -> bytes:
        """The two Avro strings."""
        return string(self.source) + string(self.boot)


def string(text: str) -> bytes:
    """An Avro string."""
    data = text.encode()
    return number(len(data)) + data


def framing(schema_id: int | None, *, batch: bool = False) -> bytes:
    """The bytes before a record: Confluent's prefix where there is an id, else single-object encoding's header."""
    return single_object(BATCH if batch else EVENT) if schema_id is None else confluent(schema_id)


def event_tail(entry: SeriesEntry, resource: Resource) -> bytes:
    """The identity tail of an event."""
    out = io.BytesIO()
    # The first seven fields of the zero event take one byte each, and the double eight.
    zero = {"source": "", "boot": "", "sequence": 0, "time_ms": 0, "value": 0.0, "outcome": 0, "trace_id": b""}
    fastavro.schemaless_writer(out, EVENT.parsed, zero | entry.row() | {"resource": resource.row()})
    return out.getvalue()[14:]


def encode_event(
    entry: SeriesEntry,
    resource: Resource,
    producer: Producer,
    *,
    time_ms: int,
    value: float,
    sequence: int = -1,
    outcome: int = 2,
    trace_id: bytes = b"",
    schema_id: int | None = None,
) -> bytes:
    """One framed TelemetryEvent."""
    return b"".join(
        (
            framing(schema_id), producer.encoded(), number(sequence), number(time_ms),
            np.array([value], "<f8").tobytes(), number(outcome), number(len(trace_id)), trace_id,
            event_tail(entry, resource),
        )
    )  # fmt: skip


def numbers(values: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(bytes of each Avro long, shape (n, 10), how many of them count, shape (n,))."""
    word = (values.astype(np.uint64) << np.uint64(1)) ^ (values >> 63).astype(np.uint64)
    out = np.zeros((len(values), _NUMBER_BYTES), np.uint8)
    size = np.ones(len(values), np.int64)
    for place in range(_NUMBER_BYTES):
        out[:, place] = word & np.uint64(0x7F)
        word >>= np.uint64(7)
        more = word != 0
        out[more, place] |= 0x80
        size += more
    return out, size


def encode_events(
    tails: Sequence[bytes],
    producers: Sequence[bytes],
    *,
    tail: ArrayLike,
    producer: ArrayLike,
    sequence: ArrayLike,
    time_ms: ArrayLike,
    value: ArrayLike,
    outcome: ArrayLike,
    schema_id: int | None = None,
) -> list[bytes]:
    """Many framed TelemetryEvents without trace ids; about a million a second.

    `tails` are of `event_tail`, `producers` of `Producer.encoded`; `tail` and `producer` say which of them each event
    has. All arrays have shape (n,).
    """
    values = np.asarray(value, "<f8")
    first, first_size = numbers(np.asarray(sequence, np.int64))
    second, second_size = numbers(np.asarray(time_ms, np.int64))
    fields = np.zeros((len(values), 2 * _NUMBER_BYTES + 10), np.uint8)
    kept = np.zeros(fields.shape, np.bool_)
    place = np.arange(_NUMBER_BYTES)
    fields[:, :10], kept[:, :10] = first, place < first_size[:, None]
    fields[:, 10:20], kept[:, 10:20] = second, place < second_size[:, None]
    fields[:, 20:28] = values.view(np.uint8).reshape(-1, 8)
    fields[:, 28] = np.asarray(outcome, np.uint8) << 1
    kept[:, 20:] = True
    middle = fields[kept].tobytes()
    ends = np.cumsum(first_size + second_size + 10).tolist()
    heads = [framing(schema_id) + each for each in producers]
    chosen = zip(np.asarray(producer).tolist(), np.asarray(tail).tolist(), [0, *ends[:-1]], ends, strict=True)
    return [heads[who] + middle[begin:end] + tails[what] for who, what, begin, end in chosen]


def encode_batch(
    entries: Sequence[SeriesEntry],
    resource: Resource,
    producer: Producer,
    *,
    base_ms: int,
    series: ArrayLike,
    delta_ms: ArrayLike,
    value: ArrayLike,
    outcome: ArrayLike | None = None,
    sequence: int = -1,
    stamps: tuple[int, int, int, int] = (0, 0, 0, 0),
    exemplars: Sequence[tuple[int, bytes]] = (),
    schema_id: int | None = None,
    changed: Mapping[str, object] | None = None,
) -> bytes:
    """One framed TelemetryBatch. Columns have shape (n,). `changed` replaces fields, to write bad ones.

    `stamps`: wall and forward clock at its making, and at its sending; zeros where there is no clock to tell of.
    """
    row: dict[str, object] = {
        "source": producer.source,
        "boot": producer.boot,
        "sequence": sequence,
        "base_ms": base_ms,
        "created_wall_ms": stamps[0],
        "created_mono_ms": stamps[1],
        "sent_wall_ms": stamps[2],
        "sent_mono_ms": stamps[3],
        "series_index": np.asarray(series, "<u4").tobytes(),
        "delta_ms": np.asarray(delta_ms, "<u4").tobytes(),
        "values": np.asarray(value, "<f8").tobytes(),
        "outcomes": b"" if outcome is None else np.asarray(outcome, np.uint8).tobytes(),
        "exemplars": [{"row": at, "trace_id": trace} for at, trace in exemplars],
        "resource": resource.row(),
        "series": [entry.row() for entry in entries],
    }
    row |= changed or {}
    columns = (row[name] for name in ("series_index", "delta_ms", "values", "outcomes"))
    row.setdefault("crc32", zlib.crc32(b"".join(column for column in columns if isinstance(column, bytes))))
    out = io.BytesIO()
    out.write(framing(schema_id, batch=True))
    fastavro.schemaless_writer(out, BATCH.parsed, row)
    return out.getvalue()
