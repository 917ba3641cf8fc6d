"""Batches: TelemetryBatch records, heads in lockstep, columns as arrays.

What: the head of every batch is read at once; a little Python a batch checks its CRC and looks its series table up by
its bytes; the columns of all batches are then handled as one. Why: the cost of a measurement is then a few array
operations. It refuses to explain what it does not take: odd batches go to the strict reader.
"""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np
from numpy.typing import NDArray

from schemas.chunk import Chunk
from schemas.corrupt import CorruptRecord
from schemas.known import BatchTails, Definitions, Producers
from schemas.limits import BATCH_MEASUREMENTS, TIME_BOUND_MS, TRACE_BYTES, VALUE_BOUND
from schemas.lockstep import Lockstep
from schemas.measurements import OUTCOME_NONE
from schemas.pieces import Piece
from schemas.stamps import FIELDS as STAMPS
from schemas.stamps import sound
from schemas.telemetry_rows import read_batch
from schemas.telemetry_schema import BATCH
from schemas.walk import read_long

_BASE_BOUND_MS = TIME_BOUND_MS - 2**32
_COLUMNS = 4


@dataclasses.dataclass(slots=True)
class Heads:
    """Fields of n batches before the identity tail, shapes (n,); where `ok` is false they mean nothing."""

    ok: NDArray[np.bool_]
    producer_end: NDArray[np.int64]  # byte after `boot`
    sequence: NDArray[np.int64]
    base_ms: NDArray[np.int64]
    stamps: NDArray[np.int64]  # (4, n): see `schemas.stamps`
    column: NDArray[np.int64]  # (4, n): first byte of each column
    size: NDArray[np.int64]  # (4, n): bytes of each column
    exemplars: dict[int, list[tuple[int, bytes]]]  # by batch
    crc32: NDArray[np.int64]
    tail: NDArray[np.int64]  # first byte of `resource`


def read_heads(buffer: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64]) -> Heads:
    """The heads of the batches at buffer[at:end], framing left out; lengths of the columns proved."""
    step = Lockstep(buffer, at, end)
    step.field()  # source
    step.field()  # boot
    producer_end = step.at
    sequence = step.long()
    base_ms = step.long()
    step.require((base_ms >= 0) & (base_ms < _BASE_BOUND_MS))
    stamps = np.stack([step.long() for _ in range(len(STAMPS))])
    fields = [step.field() for _ in range(_COLUMNS)]
    index, delta, values, outcomes = (size for _, size in fields)
    rows = values >> 3
    step.require((values == rows * 8) & (index == rows * 4) & (delta == index) & (rows <= BATCH_MEASUREMENTS))
    step.require((outcomes == 0) | (outcomes == rows))
    exemplars = _read_exemplars(step, rows)
    crc32 = step.long()
    return Heads(
        step.ok, producer_end, sequence, base_ms, stamps, np.stack([start for start, _ in fields]),
        np.stack([size for _, size in fields]), exemplars, crc32, step.at,
    )  # fmt: skip


def _read_exemplars(step: Lockstep, rows: NDArray[np.int64]) -> dict[int, list[tuple[int, bytes]]]:
    """Exemplars by batch, in order of their rows; one batch at a time where there are any."""
    some = np.flatnonzero((step.byte() != 0) & step.ok)
    found: dict[int, list[tuple[int, bytes]]] = {}
    after = step.at.copy()
    after[step.byte() == 0] += 1
    for batch in some.tolist():
        first = int(step.at[batch])
        data = step.buffer[first : int(step.end[batch])].tobytes()
        try:
            found[batch], used = _exemplars(data, int(rows[batch]))
        except CorruptRecord:
            found[batch], used = [], len(data) + 1  # beyond the end: odd
        after[batch] = first + used
    step.skip(after - step.at)
    return found


def _exemplars(data: bytes, rows: int) -> tuple[list[tuple[int, bytes]], int]:
    """(exemplars in order of their rows, bytes used) of one array. Raises CorruptRecord; odd ones use too many."""
    found: list[tuple[int, bytes]] = []
    odd = len(data) + 1
    count, at = read_long(data, 0)
    while count:
        if not 0 < count <= len(data):
            return [], odd
        for _ in range(count):
            row, at = read_long(data, at)
            size, at = read_long(data, at)
            trace = data[at : at + size] if size == TRACE_BYTES else b""
            if not 0 <= row < rows or len(trace) != TRACE_BYTES:
                return [], odd
            found.append((row, trace))
            at += TRACE_BYTES
        count, at = read_long(data, at)
    return sorted(found, key=lambda exemplar: exemplar[0]), at


class BatchReader:
    """Reads the batches of chunks; keeps what it has met in `producers` and `tails`."""

    def __init__(self, producers: Producers, tails: BatchTails, definitions: Definitions) -> None:
        self.producers = producers
        self.tails = tails
        self.definitions = definitions

    def read(self, chunk: Chunk, rows: NDArray[np.int64], header: NDArray[np.int64]) -> tuple[Piece, NDArray[np.int64]]:
        """(measurements of the plain batches among `rows`, the odd rows). `header`: framing size by row, shape (m,).

        The measurements have definition numbers as series, see `known.Definitions`.
        """
        start, end = chunk.start[rows] + header, chunk.end[rows]
        heads = read_heads(chunk.buffer, start, end)
        producer_end = np.where(heads.ok, heads.producer_end, start)
        producer, known = self.producers.find(chunk.buffer, start, producer_end)
        ok = heads.ok & known
        # Positions within each value: slicing the value itself is cheaper than slicing the buffer.
        tail = (heads.tail - chunk.start[rows]).tolist()
        column = (heads.column - chunk.start[rows]).T.tolist()
        column_end = (heads.column + heads.size - chunk.start[rows]).T.tolist()
        crc32 = heads.crc32.tolist()
        parts: list[list[bytes]] = [[], [], [], []]
        tables: list[NDArray[np.int64]] = []
        for batch in np.flatnonzero(ok).tolist():
            data = chunk.value(int(rows[batch]))
            columns = [data[first:last] for first, last in zip(column[batch], column_end[batch], strict=True)]
            crc = 0
            for part in columns:
                crc = zlib.crc32(part, crc)
            table = (
                self._table(int(rows[batch]), data, tail[batch], int(header[batch])) if crc == crc32[batch] else None
            )
            if table is None:
                ok[batch] = False
                continue
            tables.append(table)
            columns[3] = columns[3] or bytes((OUTCOME_NONE,)) * (len(columns[2]) >> 3)
            for kept, part in zip(parts, columns, strict=True):
                kept.append(part)
        return self._rows(rows, heads, producer, ok, (parts, tables))

    def _table(self, row: int, data: bytes, at: int, header: int) -> NDArray[np.int64] | None:
        """Definition number of each series of the tail that begins at `at`; None when it cannot be read."""
        tail = data[at:]
        known = self.tails.get(tail)
        if known is None:
            try:
                found = read_batch(BATCH, data, header)
            except CorruptRecord:
                return None
            known = np.array(self.definitions.numbers(found.definitions, row), np.int64)
            self.tails.add(tail, known)
        return known

    def _rows(
        self,
        rows: NDArray[np.int64],
        heads: Heads,
        producer: NDArray[np.uint64],
        ok: NDArray[np.bool_],
        columns: tuple[list[list[bytes]], list[NDArray[np.int64]]],
    ) -> tuple[Piece, NDArray[np.int64]]:
        """Put the columns together and check every row; a batch with a bad row is odd."""
        parts, tables = columns
        index, delta, value, outcome = (
            np.frombuffer(b"".join(part), dtype) for part, dtype in zip(parts, ("<u4", "<u4", "<f8", "u1"), strict=True)
        )
        batches = np.flatnonzero(ok)
        counts = heads.size[2, batches] >> 3
        row_record = np.repeat(np.arange(len(batches)), counts)
        sizes = np.array([len(table) for table in tables], np.int64)
        series_at = index + np.repeat(np.cumsum(sizes) - sizes, counts)
        time_ms = delta + np.repeat(heads.base_ms[batches], counts)
        if not _all_good(index, value, outcome, sizes):
            good = (np.abs(value) < VALUE_BOUND) & (outcome <= OUTCOME_NONE) & (index < sizes[row_record])
            taken = np.ones(len(batches), np.bool_)
            taken[row_record[~good]] = False
            ok[batches[~taken]] = False
            kept = taken[row_record]
            series_at, time_ms, value, outcome = series_at[kept], time_ms[kept], value[kept], outcome[kept]
            batches, counts = batches[taken], counts[taken]
            row_record = np.repeat(np.arange(len(batches)), counts)
        exemplar_row, exemplar_trace = _marked(heads.exemplars, batches, counts)
        stamps = heads.stamps[:, batches]
        told = sound(stamps)
        piece = Piece(
            record=rows[batches],
            producer=producer[batches],
            sequence=heads.sequence[batches],
            rows=counts,
            row_record=row_record,
            series=np.concatenate([np.zeros(0, np.int64), *tables])[series_at],
            time_ms=time_ms,
            value=value,
            outcome=outcome,
            exemplar_row=exemplar_row,
            exemplar_trace=exemplar_trace,
            stamped=np.flatnonzero(told),
            stamps=stamps[:, told],
        )
        return piece, rows[~ok]


def _all_good(
    index: NDArray[np.uint32], value: NDArray[np.float64], outcome: NDArray[np.uint8], sizes: NDArray[np.int64]
) -> bool:
    """Whether every row of all batches is plainly good; the extremes tell (NaN is one). Shapes (n,), tables (b,)."""
    if not len(index):
        return True
    within = float(value.min()) > -VALUE_BOUND and float(value.max()) < VALUE_BOUND
    return within and int(outcome.max()) <= OUTCOME_NONE and int(index.max()) < int(sizes.min())


def _marked(
    exemplars: dict[int, list[tuple[int, bytes]]], batches: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """(row in the piece, trace id) of the batches' exemplars, in order."""
    rows: list[int] = []
    traces: list[bytes] = []
    if exemplars:
        for batch, first in zip(batches.tolist(), (np.cumsum(counts) - counts).tolist(), strict=True):
            for row, trace in exemplars.get(batch, ()):
                rows.append(first + row)
                traces.append(trace)
    return np.array(rows, np.int64), np.frombuffer(b"".join(traces), "V16")
