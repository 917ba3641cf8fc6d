"""Decoding: any record of our topics as a line for people and as plain values for machines.

What: telemetry and every other record, whichever framing; cells row by row. Why: nobody should need a schema to look at
a topic. It refuses to guess: what cannot be read is shown as unreadable, with reason and byte.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from cli.output import labels_text, span_text, time_text
from schemas import cells as cell_flags
from schemas.bundled import released
from schemas.cells import Cells
from schemas.codec import Codec, Record
from schemas.corrupt import CorruptRecord
from schemas.framing import Lookup, WriterSchemas
from schemas.logs import LOGS, LogBatch, read_logs, severity_name
from schemas.records import (
    AlertTransition,
    Command,
    DeadLetter,
    IncidentTransition,
    LateRecord,
    NotificationRecord,
    PartialBatch,
    RollupBatch,
    SeriesDefinition,
    SloGroup,
    SloStatus,
)
from schemas.telemetry_rows import TelemetryRow, read_batch, read_event
from schemas.telemetry_schema import BATCH, EVENT

FIXED_ONE = 1 << 20  # good and total are counted in units of 2**-20
FRACTION = 2.0**-40  # of sum_frac
OUTCOMES = ("bad", "good", None)
FLAGS = {
    "late": cell_flags.FLAG_LATE,
    "slo": cell_flags.FLAG_SLO,
    "final": cell_flags.FLAG_FINAL,
    "correction": cell_flags.FLAG_CORRECTION,
}
ROWS_SHOWN = 3

Value = Record | TelemetryRow | LogBatch


class Decoder:
    """Reads both framings; `lookup` asks a registry for the schemas of others."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._writers = WriterSchemas([*released(), EVENT, BATCH, LOGS], lookup)
        self._codec = Codec(lookup=lookup)

    def decode(self, data: bytes) -> Value:
        """A record of any of our topics. Raises CorruptRecord."""
        try:
            writer, at = self._writers.of(data)
        except CorruptRecord:
            return self._codec.decode(data)
        if writer.name == EVENT.name:
            return read_event(writer, data, at)
        if writer.name == BATCH.name:
            return read_batch(writer, data, at)
        if writer.name == LOGS.name:
            return read_logs(writer, data, at)
        return self._codec.decode(data)


# -- for machines


def plain(value: object) -> object:
    """Values that JSON knows: bytes as hex, cells as rows, measurements as rows."""
    if isinstance(value, TelemetryRow):
        return _telemetry(value)
    if isinstance(value, Cells):
        return [_cell(value, row) for row in range(len(value))]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"record": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value


def _definition(definition: SeriesDefinition) -> dict[str, object]:
    return {
        "metric": definition.metric,
        "kind": definition.kind.name.lower(),
        "unit": definition.unit,
        "source_kind": definition.source_kind.name.lower(),
        "labels": dict(definition.labels),
    }


def _telemetry(row: TelemetryRow) -> dict[str, object]:
    traces = {at: trace.hex() for at, trace in row.exemplars}
    measurements = [
        {
            "series": int(row.series[at]),
            "time_ms": int(row.time_ms[at]),
            "value": float(row.value[at]),
            "outcome": OUTCOMES[int(row.outcome[at])] if len(row.outcome) else None,
            **({"trace": traces[at]} if at in traces else {}),
        }
        for at in range(len(row.time_ms))
    ]
    head = {"record": "Telemetry", "source": row.source, "boot": row.boot, "sequence": row.sequence}
    return {**head, "series": [_definition(one) for one in row.definitions], "measurements": measurements}


def _cell(cells: Cells, row: int) -> dict[str, object]:
    flags = int(cells.flags[row])
    found: dict[str, object] = {
        "start_ms": int(cells.pane_ms[row]),
        "as_of": int(cells.offset[row]),
        "revision": int(cells.revision[row]),
        "flags": [name for name, bit in FLAGS.items() if flags & bit],
        "good": int(cells.good[row]) / FIXED_ONE,
        "total": int(cells.total[row]) / FIXED_ONE,
    }
    definition = cells.definition(row)
    if flags & cell_flags.FLAG_SLO:
        group = SloGroup.from_bytes(definition)
        return {"slo": group.slo, "objective": group.objective, "labels": dict(group.labels), **found}
    mine = cells.hist_row == row
    buckets = zip(cells.hist_bucket[mine].tolist(), cells.hist_count[mine].tolist(), strict=True)
    return {
        **_definition(SeriesDefinition.from_bytes(definition)),
        **found,
        "count": int(cells.count[row]),
        "sum": int(cells.sum_whole[row]) + int(cells.sum_frac[row]) * FRACTION,
        "low": float(cells.low[row]),
        "high": float(cells.high[row]),
        "histogram": {str(bucket): count for bucket, count in buckets},
    }


# -- for people


def line(value: Value) -> str:
    """What matters, on one line."""
    match value:
        case TelemetryRow():
            return _telemetry_line(value)
        case LogBatch():
            return _logs_line(value)
        case PartialBatch():
            return f"source partition {value.partition} as of {value.as_of}: {_cells_line(value.cells)}"
        case RollupBatch():
            window = f"{span_text(value.window_ms)} from {time_text(value.start_ms)}, batch {value.batch}"
            return f"{window}: {_cells_line(value.cells)}"
        case SloStatus():
            name = f"{value.slo}/{value.objective} {labels_text(value.labels)}".rstrip()
            return f"{name} {value.state} severity={value.severity} budget_left={value.budget_left:.1%}"
        case AlertTransition():
            name = f"{value.alert_id} #{value.number} {value.state}/{value.severity}"
            return f"{name} (was {value.previous_severity}) {value.summary}"
        case IncidentTransition():
            return f"{value.incident_id} #{value.number} {value.state}/{value.severity} {value.title}: {value.reason}"
        case NotificationRecord():
            error = f" {value.last_error}" if value.last_error else ""
            return f"{value.incident_id} {value.channel} {value.action} {value.status} attempts={value.attempts}{error}"
        case Command():
            return f"{value.kind} {value.target} by {value.actor}"
        case LateRecord() | DeadLetter():
            at = f" at byte {value.byte}" if value.byte >= 0 else ""
            place = f"{value.source_topic}[{value.partition}]@{value.offset}"
            return f"{place} {value.reason}{at}: {value.detail} ({len(value.original)} bytes)"


def _telemetry_line(row: TelemetryRow) -> str:
    count = len(row.time_ms)
    head = f"{row.source} boot {row.boot} sequence {row.sequence}"
    if count == 1:
        definition = row.definitions[int(row.series[0])]
        outcome = OUTCOMES[int(row.outcome[0])] if len(row.outcome) else None
        told = f" {outcome}" if outcome else ""
        name = f"{definition.metric} {labels_text(definition.labels)}".rstrip()
        return f"{head}: {name} = {float(row.value[0]):g}{told} at {time_text(int(row.time_ms[0]))}"
    metrics = sorted({definition.metric for definition in row.definitions})
    more = f" and {len(metrics) - ROWS_SHOWN} more" if len(metrics) > ROWS_SHOWN else ""
    first, last = (int(np.min(row.time_ms)), int(np.max(row.time_ms))) if count else (0, 0)
    series = f"{count} measurements of {len(row.definitions)} series ({', '.join(metrics[:ROWS_SHOWN])}{more})"
    return f"{head}: {series}, {time_text(first)} to {time_text(last)}"


def _logs_line(batch: LogBatch) -> str:
    head = f"{batch.source} boot {batch.boot} sequence {batch.sequence}: {len(batch.records)} log records"
    if not batch.records:
        return head
    first = batch.records[0]
    told = " ".join(filter(None, (severity_name(first.severity), first.event, first.body.strip())))
    return f"{head}, the first at {time_text(first.at_ms)}: {told}"


def _cells_line(cells: Cells) -> str:
    slo = int(np.count_nonzero(cells.flags & cell_flags.FLAG_SLO))
    final = int(np.count_nonzero(cells.flags & cell_flags.FLAG_FINAL))
    parts = [f"{len(cells) - slo} series rows"]
    parts += [f"{slo} SLO rows"] if slo else []
    parts += [f"{final} final"] if final else []
    return f"{', '.join(parts)}, {int(cells.count.sum())} measurements"
