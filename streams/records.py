"""Records: the fetched records of one partition as columns.

What: one buffer and, for each record, offset, arrival, and where its key and value lie in the buffer; a sequence of
`Record` for whoever wants them one by one. Why: a Python object a record costs more than everything else that a worker
does with a single event, and a hundred thousand of them keep the garbage collector busy. It refuses to copy what is
only looked at: a slice shares the buffer.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from schemas.chunk import PADDING, Chunk

NO_KEY = -1


class Record(NamedTuple):
    """One fetched record. `timestamp_ms` is the broker's arrival stamp where the topic has LogAppendTime."""

    offset: int
    timestamp_ms: int
    value: bytes
    key: bytes | None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Records(Sequence[Record]):
    """n records, shapes (n,), in the order of the log. `data` ends with `schemas.chunk.PADDING`."""

    data: bytes
    offset: NDArray[np.int64]
    timestamp_ms: NDArray[np.int64]
    start: NDArray[np.int64]  # of the value in `data`
    end: NDArray[np.int64]
    key_start: NDArray[np.int64]  # where the key begins, or would
    key_size: NDArray[np.int64]  # NO_KEY: none

    @classmethod
    def of(cls, records: Sequence[Record]) -> Records:
        """Columns of single records."""
        parts = [part for record in records for part in (record.key or b"", record.value)]
        ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        key_size = [NO_KEY if record.key is None else len(record.key) for record in records]
        return cls(
            data=b"".join([*parts, PADDING]),
            offset=np.array([record.offset for record in records], np.int64),
            timestamp_ms=np.array([record.timestamp_ms for record in records], np.int64),
            start=ends[0::2],
            end=ends[1::2],
            key_start=ends[0::2] - np.maximum(key_size, 0),
            key_size=np.array(key_size, np.int64),
        )

    @staticmethod
    def joined(parts: Sequence[Records]) -> Records:
        """All records of all parts, in order. Only the bytes between a part's first and last record are kept."""
        if len(parts) == 1:
            return parts[0]
        kept = [part for part in parts if len(part)]
        if not kept:
            return EMPTY
        low = np.array([part.key_start[0] for part in kept])
        pieces = [
            memoryview(part.data)[first : int(part.end[-1])] for part, first in zip(kept, low.tolist(), strict=True)
        ]
        sizes = np.array([len(piece) for piece in pieces])
        shift = np.repeat(np.cumsum(sizes) - sizes - low, [len(part) for part in kept])
        return Records(
            data=b"".join([*pieces, PADDING]),
            offset=np.concatenate([part.offset for part in kept]),
            timestamp_ms=np.concatenate([part.timestamp_ms for part in kept]),
            start=np.concatenate([part.start for part in kept]) + shift,
            end=np.concatenate([part.end for part in kept]) + shift,
            key_start=np.concatenate([part.key_start for part in kept]) + shift,
            key_size=np.concatenate([part.key_size for part in kept]),
        )

    def __len__(self) -> int:
        return len(self.offset)

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> Records: ...

    def __getitem__(self, place: int | slice) -> Record | Records:
        if isinstance(place, slice):
            return Records(self.data, *(column[place] for column in self._columns))
        at = operator.index(place)  # a TypeError for anything else, as a list has it: Faust asks with a text
        return self._record(*(int(column[at]) for column in self._columns))

    @property
    def _columns(self) -> tuple[NDArray[np.int64], ...]:
        return self.offset, self.timestamp_ms, self.start, self.end, self.key_start, self.key_size

    def _record(self, offset: int, timestamp_ms: int, start: int, end: int, key_start: int, key_size: int) -> Record:
        key = None if key_size == NO_KEY else self.data[key_start : key_start + key_size]
        return Record(offset, timestamp_ms, self.data[start:end], key)

    def __iter__(self) -> Iterator[Record]:
        return map(self._record, *(column.tolist() for column in self._columns))

    def after(self, offset: int) -> Records:
        """The records above an offset."""
        return self[int(np.searchsorted(self.offset, offset, "right")) :]

    def at(self, offset: int) -> Record:
        """The record with that offset; it must be one of these."""
        return self[int(np.searchsorted(self.offset, offset))]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each value, shape (n,)."""
        return self.end - self.start

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return int(self.sizes.sum())

    @property
    def chunk(self) -> Chunk:
        """The values, as the decoder wants them."""
        return Chunk(np.frombuffer(self.data, np.uint8), self.start, self.end)


EMPTY = Records.of([])
