"""Encode: rows to TelemetryBatch records, as Avro with packed columns.

What: columns are built with `array` from tuples, so that no Python code runs per measurement except inside zip and
map; the record around them is put together from pieces that are encoded once. Why: a batch costs a fraction of a
microsecond a measurement, here and in the decoder. It refuses to send: a batch carries what is needed to stamp it at
each try. The layout is that of schemas/avro/telemetry_batch.avsc, field by field; a test reads it back with that file.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from zlib import crc32

from tocsin import avro, clock, limits, names
from tocsin.recorder import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA_FILE = "telemetry_batch.avsc"
#: Single-object encoding: C3 01 and the CRC-64-AVRO of the schema's canonical form. A test holds it against the file.
PREFIX = bytes.fromhex("c30120a94bccd2612878")


def little_endian(typecode: str, values: Any) -> bytes:
    """The values as packed little-endian bytes. `I`: u32, `d`: f64."""
    column = array(typecode, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def resource(
    service: str, version: str, environment: str, region: str, source_kind: str, attributes: Mapping[str, str]
) -> bytes:
    """What measured, encoded: the first part of a batch's identity tail."""
    named = b"".join(map(avro.text, (service, version, environment, region)))
    return named + avro.long(names.SOURCE_KINDS.index(source_kind)) + avro.mapping(attributes.items())


def series(definition: names.Definition) -> bytes:
    """One entry of a batch's series table, encoded."""
    kind, metric, unit, labels = definition
    return b"".join((avro.text(metric), avro.long(names.KINDS.index(kind)), avro.text(unit), avro.mapping(labels)))


class Batch:
    """One encoded batch without its send stamps, and how it fares. `here`: made in this run of the machine."""

    __slots__ = ("begin", "here", "place", "rows", "sequence", "tail", "top", "tries")

    def __init__(self, sequence: int, rows: int, top: bytes, tail: bytes, here: bool = True) -> None:
        self.sequence = sequence
        self.rows = rows
        self.top = top  # framing, and the fields before the send stamps
        self.tail = tail  # the fields behind them
        self.here = here
        self.begin = 0  # measurements that were recorded before its first
        self.place: Any = None  # where a spool keeps it
        self.tries = 0

    @property
    def size(self) -> int:
        """Bytes, at most, of its payload."""
        return len(self.top) + len(self.tail) + 2 * limits.LONG_BYTES

    def payload(self) -> bytes:
        """The framed bytes for the next try: stamped with its clocks; ids and content are the same in each.

        The forward clock is 0, unknown, when the batch was made before the machine last started: its origin is another.
        """
        forward = clock.forward_ms() if self.here else 0
        return b"".join((self.top, avro.long(clock.wall_ms()), avro.long(forward), self.tail))


class Encoder:
    """Makes batches for one (source, boot). Not thread-safe: the pump owns it. `tail`: the resource, encoded."""

    def __init__(self, source: str, boot: str, tail: bytes, schema_id: int | None, anchor: clock.Anchor) -> None:
        self.boot = boot
        self.key = source.encode()  # one source's batches are in order
        self.anchor = anchor
        self._resource = tail
        prefix = PREFIX if schema_id is None else b"\x00" + schema_id.to_bytes(4, "big")
        self._head = prefix + avro.text(source) + avro.text(boot)
        self._sequence = 0
        self._places: dict[int, int] = {}  # series number -> place in the series table of the batch
        self._entries: list[bytes] = []
        self._table = b""  # the entries, joined

    def encode(self, rows: Sequence[Row], definitions: Sequence[names.Definition]) -> list[Batch]:
        """One batch, or more when the rows exceed what one may hold; order is kept. Sequences are given out here."""
        if not rows:
            return []
        numbers, times, values, outcomes, traces = zip(*rows, strict=True)
        base = min(times)
        distinct = dict.fromkeys(numbers)
        if len(distinct) > limits.BATCH_SERIES or max(times) - base > limits.DELTA_BOUND_MS:
            return self._halves(rows, definitions)
        places = self._place(distinct, definitions)
        columns = (
            little_endian("I", map(places.__getitem__, numbers)),
            little_endian("I", [time_ms - base for time_ms in times]),
            little_endian("d", values),
            b"" if min(outcomes) == 2 else bytes(outcomes),
        )
        exemplars = (
            [avro.long(row) + avro.blob(trace) for row, trace in enumerate(traces) if trace] if any(traces) else []
        )
        batch = self._batch(len(rows), base, columns, exemplars)
        if batch is None:
            if len(self._entries) == len(distinct):
                return self._halves(rows, definitions)
            self._places, self._entries = {}, []  # series that these rows do not need made it too long
            return self.encode(rows, definitions)
        return [batch]

    def _halves(self, rows: Sequence[Row], definitions: Sequence[names.Definition]) -> list[Batch]:
        middle = len(rows) // 2
        return self.encode(rows[:middle], definitions) + self.encode(rows[middle:], definitions)

    def _batch(self, rows: int, base: int, columns: tuple[bytes, ...], exemplars: list[bytes]) -> Batch | None:
        """The batch, or None when it is longer than a record may be."""
        crc = 0
        for column in columns:
            crc = crc32(column, crc)
        clocks = (self._sequence, base, self.anchor.wall_ms(), self.anchor.forward_ms())
        top = self._head + b"".join(map(avro.long, clocks))
        tail = b"".join((
            *map(avro.blob, columns), avro.array(exemplars), avro.long(crc), self._resource, self._table,
        ))  # fmt: skip
        batch = Batch(self._sequence, rows, top, tail)
        if batch.size > limits.RECORD_BYTES:
            return None
        self._sequence += 1
        return batch

    def _place(self, distinct: dict[int, None], definitions: Sequence[names.Definition]) -> dict[int, int]:
        """Places in the series table. A small table only grows, so that its bytes, which the decoder knows, recur."""
        new = [number for number in distinct if number not in self._places]
        if len(self._places) + len(new) > limits.STICKY_SERIES:
            self._places, self._entries, new = {}, [], list(distinct)
        for number in new:
            self._places[number] = len(self._entries)
            self._entries.append(series(definitions[number]))
        if new:
            self._table = avro.array(self._entries)
        return self._places
