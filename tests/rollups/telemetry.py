"""Telemetry for the tests of the rollups room: records as plain values, and Measurements made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from schemas.measurements import Measurements
from schemas.records import Feed, FeedMode, MeasureKind, SeriesDefinition, SloGroup, SourceKind

T0 = 1_800_000_000_000


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement."""

    definition: SeriesDefinition
    time_ms: int
    value: float
    outcome: int = 2
    trace: bytes = b""


@dataclasses.dataclass(frozen=True)
class Record:
    """One record of the log."""

    offset: int
    append_ms: int
    rows: tuple[Row, ...]
    producer: int = 1
    sequence: int = -1
    stamps: tuple[int, int, int, int] | None = None  # see schemas.stamps


def series(name: str, kind: MeasureKind = MeasureKind.OUTCOME, source: SourceKind = SourceKind.WEB) -> SeriesDefinition:
    """A series of one label."""
    return SeriesDefinition("latency", kind, "ms", source, {"route": name})


def no_feeds(_: SeriesDefinition) -> Sequence[Feed]:
    """Nothing feeds an SLO."""
    return ()


GROUPS = [SloGroup("fast", 0, {}), SloGroup("good", 0, {"team": "shop"}), SloGroup("asked", 1, {})]


def some_feeds(definition: SeriesDefinition) -> Sequence[Feed]:
    """No, one or two feeds, by the kind of the series."""
    if definition.kind == MeasureKind.OUTCOME:
        return (Feed(GROUPS[1], FeedMode.OUTCOME), Feed(GROUPS[0], FeedMode.AT_MOST, 10.0))
    if definition.kind == MeasureKind.COUNTER:
        return (Feed(GROUPS[2], FeedMode.TOTAL),)
    return (Feed(GROUPS[0], FeedMode.BELOW, 5.0),) if definition.kind == MeasureKind.HISTOGRAM else ()


def measurements(records: Sequence[Record], resolve: Callable[[SeriesDefinition], int]) -> Measurements:
    """The columns that the decoder would make."""
    rows = [(place, row) for place, record in enumerate(records) for row in record.rows]
    told = [place for place, record in enumerate(records) if record.stamps]
    traced = [at for at, (_, row) in enumerate(rows) if row.trace]
    return Measurements(
        series=np.array([resolve(row.definition) for _, row in rows], np.int64),
        time_ms=np.array([row.time_ms for _, row in rows], np.int64),
        value=np.array([row.value for _, row in rows], np.float64),
        outcome=np.array([row.outcome for _, row in rows], np.uint8),
        row_record=np.array([place for place, _ in rows], np.int64),
        record_offset=np.array([record.offset for record in records], np.int64),
        record_append_ms=np.array([record.append_ms for record in records], np.int64),
        record_producer=np.array([record.producer for record in records], np.uint64),
        record_sequence=np.array([record.sequence for record in records], np.int64),
        record_rows=np.array([len(record.rows) for record in records], np.int64),
        exemplar_row=np.array(traced, np.int64),
        exemplar_trace=np.frombuffer(b"".join(rows[at][1].trace for at in traced), "V16"),
        stamped=np.array(told, np.int64),
        stamps=np.array([record.stamps for record in records if record.stamps], np.int64).reshape(-1, 4).T,
    )
