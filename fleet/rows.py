"""Rows: the measurements of one record of a vehicle, as one record of the contract.

What: measurements that carry their own series, and the framed batch of them. Why one record for one: its identity then is a
function of the record that it came from, and a replay gives the same bytes under the same identity. It refuses nothing:
limits were kept before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fleet.limits import SPAN_MS
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch
from schemas.records import MeasureKind

Labels = tuple[tuple[str, str], ...]


class Row(NamedTuple):
    """One measurement."""

    metric: str
    kind: MeasureKind
    unit: str
    labels: Labels
    time_ms: int
    value: float


def framed(rows: Sequence[Row], resource: Resource, producer: Producer, sequence: int) -> bytes:
    """The record. What is older than its newest measurement by more than a record can say is as old as that, which is too
    late all the same."""
    places: dict[tuple[str, MeasureKind, str, Labels], int] = {}
    index = [places.setdefault(row[:4], len(places)) for row in rows]
    floor = max(row.time_ms for row in rows) - SPAN_MS
    times = [max(row.time_ms, floor) for row in rows]
    base = min(times)
    return encode_batch(
        [SeriesEntry(metric, kind, unit, dict(labels)) for metric, kind, unit, labels in places],
        resource,
        producer,
        base_ms=base,
        series=index,
        delta_ms=[time - base for time in times],
        value=[row.value for row in rows],
        sequence=sequence,
    )
