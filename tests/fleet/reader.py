"""What framed telemetry says, read by the platform's own decoder: what it refuses, fails here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.records import MeasureKind, SeriesDefinition
from schemas.telemetry import TelemetryDecoder


class Measured(NamedTuple):
    metric: str
    kind: MeasureKind
    unit: str
    labels: Mapping[str, str]
    time_ms: int
    value: float
    producer: int
    sequence: int


def measurements(values: Sequence[bytes]) -> list[Measured]:
    """Of all records, in order; a (producer, sequence) that comes again is left out, as the aggregate leaves it out."""
    series: list[SeriesDefinition] = []

    def resolve(definition: SeriesDefinition) -> int:
        series.append(definition)
        return len(series) - 1

    decoded = TelemetryDecoder(resolve).decode([(offset, 0, value) for offset, value in enumerate(values)])
    assert not decoded.refused, decoded.refused
    found, seen = decoded.measurements, set()
    rows: dict[int, list[Measured]] = {}
    for index, at, value, record in zip(
        found.series.tolist(), found.time_ms.tolist(), found.value.tolist(), found.row_record.tolist(), strict=True
    ):
        one, who = series[index], int(found.record_producer[record])
        rows.setdefault(record, []).append(
            Measured(one.metric, one.kind, one.unit, one.labels, at, value, who, int(found.record_sequence[record]))
        )
    answer = []
    for told in rows.values():
        identity = (told[0].producer, told[0].sequence)
        if identity not in seen or identity[1] < 0:  # below zero: not deduplicated
            seen.add(identity)
            answer += told
    return answer
