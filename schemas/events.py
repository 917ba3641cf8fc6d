"""Events: TelemetryEvent records in lockstep.

What: the head of every event is read at once, its producer and its series are recognised by the raw bytes of their
fields. Why: at a million records a second there is no time for Python a record. It refuses to explain what it does
not take: odd records go to the strict reader.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from schemas.chunk import Chunk
from schemas.corrupt import CorruptRecord
from schemas.known import Definitions, Producers, Tails
from schemas.limits import TIME_BOUND_MS, VALUE_BOUND
from schemas.lockstep import Lockstep
from schemas.measurements import no_stamps
from schemas.pieces import Piece
from schemas.tails import TailReader
from schemas.telemetry_rows import read_event
from schemas.telemetry_schema import EVENT


@dataclasses.dataclass(slots=True)
class Heads:
    """Fields of n events before the identity tail, shapes (n,); where `ok` is false they mean nothing."""

    ok: NDArray[np.bool_]
    producer_end: NDArray[np.int64]  # byte after `boot`
    sequence: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    trace: NDArray[np.void]  # V16 of the bytes where a trace id would be
    has_trace: NDArray[np.bool_]
    tail: NDArray[np.int64]  # first byte of `metric`


def read_heads(buffer: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64]) -> Heads:
    """The heads of the events at buffer[at:end], framing left out."""
    step = Lockstep(buffer, at, end)
    step.field()  # source
    step.field()  # boot
    producer_end = step.at
    sequence = step.long()
    time_ms = step.long()
    step.require((time_ms >= 0) & (time_ms < TIME_BOUND_MS))
    value = step.word().view("<f8")
    step.require(np.abs(value) < VALUE_BOUND)
    outcome = step.byte(8)  # 0, 2, 4 are the numbers 0, 1, 2
    size = step.byte(9)  # 32 is the length 16
    step.skip(10)
    has_trace = size == 32
    step.require((outcome & 0xF9 == 0) & (outcome != 6) & (has_trace | (size == 0)))
    trace = np.zeros(0, "V16")
    if has_trace.any():
        trace = step.traces[step.at]
        step.skip((size >> 1).astype(np.int64))
    flag = (outcome >> 1).astype(np.uint8)
    return Heads(step.ok, producer_end, sequence, time_ms, value, flag, trace, has_trace, step.at)


class EventReader:
    """Reads the events of chunks; keeps what it has met in `producers` and `tails`."""

    def __init__(self, producers: Producers, tails: Tails, definitions: Definitions) -> None:
        self.producers = producers
        self.tails = tails
        self.definitions = definitions
        self._plain = TailReader()

    def read(self, chunk: Chunk, rows: NDArray[np.int64], header: NDArray[np.int64]) -> tuple[Piece, NDArray[np.int64]]:
        """(measurements of the plain events among `rows`, the odd rows). `header`: framing size by row, shape (m,).

        The measurements have definition numbers as series, see `known.Definitions`.
        """
        everything = len(rows) == len(chunk.start)
        start = (chunk.start if everything else chunk.start[rows]) + header
        end = chunk.end if everything else chunk.end[rows]
        heads = read_heads(chunk.buffer, start, end)
        # Where a head is not ok its slices mean nothing, so they are empty; the strict reader will see to the record.
        producer_end = np.where(heads.ok, heads.producer_end, start)
        producer, known = self.producers.find(chunk.buffer, start, producer_end)
        ok = heads.ok & known

        def learn(row: int) -> int | None:
            if not ok[row]:
                return None
            bytes_of_tail = chunk.buffer[int(tail[row]) : int(end[row])].tobytes()
            definition = self._plain.read(bytes_of_tail)
            if definition is None:
                try:
                    found = read_event(EVENT, chunk.value(int(rows[row])), int(header[row]))
                except CorruptRecord:
                    return None
                (definition,) = found.definitions
                self._plain.learn(bytes_of_tail, definition)
            return self.definitions.numbers([definition], int(rows[row]))[0]

        tail = np.where(ok, heads.tail, end)
        series, known = self.tails.find(chunk.buffer, tail, end, learn)
        ok &= known
        return self._piece(rows, heads, producer, series, ok), rows[~ok]

    def _piece(
        self,
        rows: NDArray[np.int64],
        heads: Heads,
        producer: NDArray[np.uint64],
        series: NDArray[np.int64],
        ok: NDArray[np.bool_],
    ) -> Piece:
        traced = np.flatnonzero(heads.has_trace & ok)
        trace = heads.trace[traced] if len(traced) else np.zeros(0, "V16")
        if ok.all():
            count = len(rows)
            columns = (producer, heads.sequence, series, heads.time_ms, heads.value, heads.outcome)
        else:
            count = int(ok.sum())
            traced = (np.cumsum(ok) - 1)[traced]
            rows = rows[ok]
            columns = (
                producer[ok], heads.sequence[ok], series[ok], heads.time_ms[ok], heads.value[ok], heads.outcome[ok]
            )  # fmt: skip
        return Piece(
            record=rows,
            producer=columns[0],
            sequence=columns[1],
            rows=np.ones(count, np.int64),
            row_record=np.arange(count),
            series=columns[2],
            time_ms=columns[3],
            value=columns[4],
            outcome=columns[5],
            exemplar_row=traced,
            exemplar_trace=trace,
            stamped=np.zeros(0, np.int64),
            stamps=no_stamps(),
        )
