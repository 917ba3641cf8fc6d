"""Encode: rows to TelemetryBatch records, as Avro with packed columns.

What: columns are built with `array` from tuples, so that no Python code runs per measurement except inside zip and
map; the record around them is written by fastavro from the bundled schema. Why: a batch costs a fraction of a
microsecond a measurement, here and in the decoder. It refuses to send: a batch carries what is needed to stamp and
frame it at each try.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from io import BytesIO
from time import monotonic_ns
from zlib import crc32

from tocsin import limits, names
from tocsin.recorder import Row, now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA_FILE = "telemetry_batch.avsc"


def little_endian(typecode: str, values: Any) -> bytes:
    """The values as packed little-endian bytes. `I`: u32, `d`: f64."""
    column = array(typecode, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def load_schema() -> tuple[Any, bytes]:
    """The bundled batch schema, parsed, and its single-object prefix: C3 01 and the CRC-64-AVRO, little-endian."""
    import json
    from importlib.resources import files

    from fastavro import parse_schema
    from fastavro.schema import fingerprint, to_parsing_canonical_form

    definition = json.loads(files("tocsin").joinpath("_avro", SCHEMA_FILE).read_text("utf-8"))
    print_of_it = fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO")
    return parse_schema(definition), b"\xc3\x01" + bytes.fromhex(print_of_it)


class Batch:
    """One encoded batch: its record without the send stamps, and how it fares."""

    __slots__ = ("_encoder", "_first", "_record", "rows", "sequence", "size", "tries")

    def __init__(self, sequence: int, rows: int, record: dict[str, Any], encoder: Encoder) -> None:
        self.sequence = sequence
        self.rows = rows
        self.tries = 0
        self._record = record
        self._encoder = encoder
        self._first: bytes | None = self._stamped()
        self.size = len(self._first)

    def payload(self) -> bytes:
        """The framed bytes for the next try: stamped with its clocks; ids and content are the same in each."""
        data, self._first = self._first, None
        return data if data is not None else self._stamped()

    def _stamped(self) -> bytes:
        self._record["sent_wall_ms"] = now_ms()
        self._record["sent_mono_ms"] = monotonic_ns() // 1_000_000
        return self._encoder.write(self._record)


class Encoder:
    """Makes batches for one (source, boot). Not thread-safe: the pump owns it."""

    def __init__(self, source: str, boot: str, resource: dict[str, Any], schema_id: int | None) -> None:
        self.source = source
        self.boot = boot
        self._resource = resource
        self._schema_id = schema_id
        self._schema: Any = None
        self._prefix = b""
        self._sequence = 0
        self._places: dict[int, int] = {}  # series number -> place in the series table of the batch
        self._table: list[dict[str, Any]] = []

    def encode(self, rows: Sequence[Row], definitions: Sequence[names.Definition]) -> list[Batch]:
        """One batch, or more when the rows exceed what one may hold; order is kept. Sequences are given out here."""
        if not rows:
            return []
        series, times, values, outcomes, traces = zip(*rows, strict=True)
        base = min(times)
        distinct = dict.fromkeys(series)
        if len(distinct) > limits.BATCH_SERIES or max(times) - base > limits.DELTA_BOUND_MS:
            return self._halves(rows, definitions)
        places = self._place(distinct, definitions)
        columns = (
            little_endian("I", map(places.__getitem__, series)),
            little_endian("I", [time_ms - base for time_ms in times]),
            little_endian("d", values),
            b"" if min(outcomes) == 2 else bytes(outcomes),
        )
        exemplars = [{"row": row, "trace_id": trace} for row, trace in enumerate(traces) if trace]
        batch = self._batch(len(rows), base, columns, exemplars)
        if batch is None:
            if len(self._table) == len(distinct):
                return self._halves(rows, definitions)
            self._places, self._table = {}, []  # series that these rows do not need made it too long
            return self.encode(rows, definitions)
        return [batch]

    def _halves(self, rows: Sequence[Row], definitions: Sequence[names.Definition]) -> list[Batch]:
        middle = len(rows) // 2
        return self.encode(rows[:middle], definitions) + self.encode(rows[middle:], definitions)

    def _batch(
        self, rows: int, base: int, columns: tuple[bytes, bytes, bytes, bytes], exemplars: list[dict[str, Any]]
    ) -> Batch | None:
        """The batch, or None when it is longer than a record may be."""
        crc = 0
        for column in columns:
            crc = crc32(column, crc)
        record = {
            "source": self.source,
            "boot": self.boot,
            "sequence": self._sequence,
            "base_ms": base,
            "created_wall_ms": now_ms(),
            "created_mono_ms": monotonic_ns() // 1_000_000,
            "series_index": columns[0],
            "delta_ms": columns[1],
            "values": columns[2],
            "outcomes": columns[3],
            "exemplars": exemplars,
            "crc32": crc,
            "resource": self._resource,
            "series": list(self._table),
        }
        batch = Batch(self._sequence, rows, record, self)
        if batch.size > limits.RECORD_BYTES:
            return None
        self._sequence += 1
        return batch

    def _place(self, distinct: dict[int, None], definitions: Sequence[names.Definition]) -> dict[int, int]:
        """Places in the series table. A small table only grows, so that its bytes, which the decoder knows, recur."""
        new = [number for number in distinct if number not in self._places]
        if len(self._places) + len(new) > limits.STICKY_SERIES:
            self._places, self._table, new = {}, [], list(distinct)
        for number in new:
            kind, metric, unit, labels = definitions[number]
            self._places[number] = len(self._table)
            self._table.append({"metric": metric, "kind": kind, "unit": unit, "labels": dict(labels)})
        return self._places

    def write(self, record: dict[str, Any]) -> bytes:
        """The record as framed Avro: Confluent's prefix when a schema id was given, else single-object encoding."""
        from fastavro import schemaless_writer

        if self._schema is None:
            self._schema, self._prefix = load_schema()
            if self._schema_id is not None:
                self._prefix = b"\x00" + self._schema_id.to_bytes(4, "big")
        out = BytesIO()
        out.write(self._prefix)
        schemaless_writer(out, self._schema, record)
        return out.getvalue()
