"""TelemetryDecoder: records of the `telemetry` topic to columns, as fast as the machine allows.

What: a chunk of records becomes one Measurements, whose `series` already are the registry's indexes, and a list of what
was refused. Plain events and batches are read in lockstep (`events`, `batches`); records of other registered schemas
and whatever looks odd are read one by one (`telemetry_rows`), which alone decides what is bad. Why: one bad record
must cost itself, its reason and its byte, and nothing else. It refuses to raise for any bytes; only `resolve` and the
registry's lookup can make `decode` raise, since their failures say nothing about the records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas import corrupt, limits
from schemas.batches import BatchReader
from schemas.bundled import released
from schemas.cells import Column
from schemas.chunk import Chunk
from schemas.corrupt import CorruptRecord
from schemas.events import EventReader
from schemas.framing import Lookup, WriterSchemas
from schemas.keyed_hash import KeyedHash
from schemas.known import BatchTails, Definitions, Producers, Resolve, Tails
from schemas.measurements import Measurements
from schemas.pieces import Piece, assemble
from schemas.stamps import sound
from schemas.telemetry_rows import TelemetryRow, read_batch, read_event
from schemas.telemetry_schema import BATCH, EVENT

#: (offset, Kafka timestamp ms, value), and the key where the transport has it at hand.
TelemetryRecord: TypeAlias = "tuple[int, int, bytes] | tuple[int, int, bytes, bytes | None]"

_offset, _timestamp, _value = itemgetter(0), itemgetter(1), itemgetter(2)


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """A record that could not be read: where it is, one of `corrupt.REASONS`, what is wrong, and at which byte."""

    offset: int
    reason: str
    detail: str
    byte: int


@dataclasses.dataclass(slots=True)
class Decoded:
    """What a chunk said, and what it could not say."""

    measurements: Measurements
    refused: list[Refused]


class TelemetryDecoder:
    """Decodes chunks of one partition. Not thread-safe. `resolve` gives a new series its index.

    `key`: of the tails' hashes, see `keyed_hash`; for a simulation that must be the same each time.
    `lookup` answers the schema text of a registry id, None when the registry has none, and raises when it cannot tell.
    """

    def __init__(self, resolve: Resolve, lookup: Lookup | None = None, key: bytes = b"") -> None:
        self._schemas = WriterSchemas([*released(), EVENT, BATCH], lookup)
        self._resolve = resolve
        self._begin(KeyedHash(key))
        self.strict_reads = 0  # records that the fast paths left to the strict reader

    def _begin(self, keyed: KeyedHash) -> None:
        """Nothing is known."""
        self._keyed = keyed
        self._definitions = Definitions(self._resolve)
        self._producers = Producers(keyed)
        self._tails = Tails(keyed)
        self._batch_tails = BatchTails()
        self._events = EventReader(self._producers, self._tails, self._definitions)
        self._batches = BatchReader(self._producers, self._batch_tails, self._definitions)

    def forget(self) -> None:
        """Drop what `resolve` answered: the registry has renumbered."""
        self._definitions.forget()
        self._tails.forget()
        self._batch_tails.forget()

    def columns(self) -> dict[str, Column]:
        """The tails of single events that are known, for a snapshot: registry index by keyed hash, and the key."""
        keys, numbers = self._tails.items()
        return {
            "tail_key": np.frombuffer(self._keyed.key, np.uint8),
            "tail_hash": keys,
            "tail_index": self._definitions.indexes(numbers),
        }

    def restore(self, columns: Mapping[str, Column]) -> None:
        """Know again what `columns` knew; the registry must be as it was then. Whoever takes over need not learn it all."""
        self._begin(KeyedHash(columns["tail_key"].tobytes()))
        numbers = self._definitions.restore(columns["tail_index"].astype(np.int64))
        self._tails.restore(columns["tail_hash"].astype(np.uint64), numbers)

    def decode(self, records: Sequence[TelemetryRecord]) -> Decoded:
        """Records of one partition in the order of the log. Never raises for what is in them."""
        if not records:
            return Decoded(Measurements.empty(), [])
        count = len(records)
        first, last = records[0][0], records[-1][0]
        if last - first == count - 1:  # offsets rise, so there are no holes
            offset = np.arange(first, last + 1)
        else:
            offset = np.fromiter(map(_offset, records), np.int64, count)
        append_ms = np.fromiter(map(_timestamp, records), np.int64, count)
        return self.decode_chunk(offset, append_ms, Chunk.of(list(map(_value, records))))

    def decode_chunk(self, offset: NDArray[np.int64], append_ms: NDArray[np.int64], chunk: Chunk) -> Decoded:
        """The same from columns: offset and Kafka timestamp (n,), n values."""
        if self._definitions.full:
            self.forget()
        self._schemas.ask_again()
        try:
            return self._decode(offset, append_ms, chunk)
        except BaseException:  # of `resolve` or the lookup: what is half known is worse than what is not
            self.forget()
            raise

    def _decode(self, offset: NDArray[np.int64], append_ms: NDArray[np.int64], chunk: Chunk) -> Decoded:
        header, event, batch = chunk.kinds(self._schemas)
        pieces: list[Piece] = []
        odd = [np.flatnonzero(~(event | batch))]
        for reader, mine in ((self._events, event), (self._batches, batch)):
            rows = np.flatnonzero(mine)
            if len(rows):
                piece, left = reader.read(chunk, rows, header[rows])
                pieces.append(piece)
                odd.append(left)
        refused: list[Refused] = []
        for row in np.sort(np.concatenate(odd)).tolist():
            self.strict_reads += 1
            try:
                pieces.append(piece_of(row, self._strict(chunk.value(row)), self._definitions))
            except CorruptRecord as error:
                refused.append(Refused(int(offset[row]), error.reason, error.detail, error.byte))
        self._definitions.settle()
        measurements = assemble(pieces, offset, append_ms)
        measurements.series = self._definitions.indexes(measurements.series)
        return Decoded(measurements, refused)

    def _strict(self, data: bytes) -> TelemetryRow:
        """One record of any schema that can be read as an event or a batch. Raises CorruptRecord."""
        if len(data) > limits.RECORD_BYTES:
            detail = f"{len(data)} bytes; the limit is {limits.RECORD_BYTES}"
            raise CorruptRecord(corrupt.SIZE, limits.RECORD_BYTES, detail)
        writer, at = self._schemas.of(data)
        if writer.name == EVENT.name:
            return read_event(writer, data, at)
        if writer.name == BATCH.name:
            return read_batch(writer, data, at)
        raise CorruptRecord(corrupt.UNKNOWN_SCHEMA, 1, f"{writer.name} is no schema of this topic")


def piece_of(record: int, found: TelemetryRow, definitions: Definitions) -> Piece:
    """The measurements, with definition numbers as series, of one strictly read record at place `record`."""
    table = np.array(definitions.numbers(found.definitions, record), np.int64)
    rows = len(found.value)
    stamps = np.array(found.stamps, np.int64)[:, None]
    told = sound(stamps)
    return Piece(
        record=np.array([record]),
        producer=np.array([found.producer], np.uint64),
        sequence=np.array([found.sequence], np.int64),
        rows=np.array([rows]),
        row_record=np.zeros(rows, np.int64),
        series=table[found.series],
        time_ms=found.time_ms,
        value=found.value,
        outcome=found.outcome,
        exemplar_row=np.array([row for row, _ in found.exemplars], np.int64),
        exemplar_trace=np.frombuffer(b"".join(trace for _, trace in found.exemplars), "V16"),
        stamped=np.flatnonzero(told),
        stamps=stamps[:, told],
    )
