"""Example values shared by the tests of this room."""

from __future__ import annotations

import itertools

import numpy as np

from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch, encode_event
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from schemas.telemetry import TelemetryDecoder

NOW_MS = 1_700_000_000_000
RESOURCE = Resource("shop", "7", "", "eu", SourceKind.WEB, {"host": "h1"})
ENTRY = SeriesEntry("latency", MeasureKind.HISTOGRAM, "ms", {"route": "/a"})
PRODUCER = Producer("web-1", "b00t")
TRACE = bytes(range(16))


class Registry:
    """Gives out indexes, each definition once; remembers how often it was asked."""

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self.definitions: list[SeriesDefinition] = []
        self.asked = 0

    def resolve(self, definition: SeriesDefinition) -> int:
        self.asked += 1
        canonical = definition.canonical()
        if canonical not in self.known:
            self.known[canonical] = len(self.definitions)
            self.definitions.append(definition)
        return self.known[canonical]


def decoder() -> tuple[TelemetryDecoder, Registry]:
    registry = Registry()
    return TelemetryDecoder(registry.resolve), registry


def records(*values: bytes) -> list[tuple[int, int, bytes]]:
    return [(offset, NOW_MS + offset, value) for offset, value in zip(itertools.count(100), values, strict=False)]


def event(
    value: float = 1.5,
    *,
    time_ms: int = NOW_MS,
    entry: SeriesEntry = ENTRY,
    resource: Resource = RESOURCE,
    producer: Producer = PRODUCER,
    sequence: int = 3,
    outcome: int = 1,
    trace_id: bytes = b"",
    schema_id: int | None = None,
) -> bytes:
    return encode_event(
        entry, resource, producer, time_ms=time_ms, value=value, sequence=sequence, outcome=outcome, trace_id=trace_id,
        schema_id=schema_id,
    )  # fmt: skip


def batch(rows: int = 5, *, tables: int = 2, **changed: object) -> bytes:
    entries = [SeriesEntry("latency", MeasureKind.HISTOGRAM, "ms", {"route": f"/{i}"}) for i in range(tables)]
    at = np.arange(rows)
    return encode_batch(
        entries, RESOURCE, PRODUCER, base_ms=NOW_MS, series=at % max(tables, 1), delta_ms=at * 10, value=at + 0.5,
        outcome=at % 3, sequence=9, exemplars=[(1, TRACE)] if rows > 1 else [], changed=changed,
    )  # fmt: skip
