"""Known: what the decoder has met before, so that it need not be read again.

What: series by their definition, producers by the raw bytes of their names, identity tails of events by keyed hash, and
of batches by their bytes. Why: a source sends the same identity with each record. It refuses to grow without bound:
a cache that is full is dropped and built again; `forget` drops all of them, for a registry that has renumbered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.corrupt import CorruptRecord
from schemas.hash_index import HashIndex
from schemas.keyed_hash import KeyedHash
from schemas.limits import (
    HASHED_BYTES,
    KNOWN_BATCH_TAIL_BYTES,
    KNOWN_BATCH_TAILS,
    KNOWN_DEFINITIONS,
    KNOWN_PRODUCERS,
    KNOWN_TAILS,
    SOURCE_CHARS,
)
from schemas.records import SeriesDefinition
from schemas.telemetry_rows import producer_id
from schemas.walk import read_long, walk_string

Resolve = Callable[[SeriesDefinition], int]
_LEAST = 1 << 10


class Definitions:
    """Numbers for definitions, and the answer of `resolve` for each number.

    The readers work with the numbers; `settle` then asks `resolve` for the new ones in the order of the log, so that
    the registry's indexes (and, at its limit, what overflows) are a function of the log and not of how it was cut.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._numbers: dict[bytes, int] = {}  # by canonical form, whose bytes the registry holds too
        self._waiting: dict[int, tuple[int, int, SeriesDefinition]] = {}  # number -> (row, place, definition)
        self._answers = np.zeros(_LEAST, np.int64)
        self._given = 0  # numbers given out

    @property
    def full(self) -> bool:
        """Whether it is time to forget."""
        return self._given >= KNOWN_DEFINITIONS

    def numbers(self, definitions: Sequence[SeriesDefinition], row: int) -> list[int]:
        """Number of each definition of the good record at `row` of the chunk."""
        found = []
        for place, definition in enumerate(definitions):
            key = definition.canonical()
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = self._given
                self._given += 1
                self._waiting[number] = (row, place, definition)
            elif number in self._waiting and (row, place) < self._waiting[number][:2]:
                self._waiting[number] = (row, place, definition)
            found.append(number)
        return found

    def settle(self) -> None:
        """Resolve what is new, in the order of the log. After an error of `resolve` everything must be forgotten."""
        if not self._waiting:
            return
        if self._given > len(self._answers):
            self._answers = np.append(self._answers, np.zeros(2 * self._given, np.int64))
        waiting, self._waiting = self._waiting, {}
        for number in sorted(waiting, key=lambda number: waiting[number][:2]):
            self._answers[number] = self._resolve(waiting[number][2])

    def indexes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The registry index of each number, shape (n,)."""
        return self._answers[numbers]

    def restore(self, indexes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers for registry indexes whose definitions were met in an earlier life; into an empty one."""
        numbers = np.arange(len(indexes))
        self._answers = np.append(indexes, np.zeros(_LEAST, np.int64))
        self._given = len(indexes)
        return numbers

    def forget(self) -> None:
        """Drop everything. Numbers given out before mean nothing then."""
        self._given = 0
        self._numbers.clear()
        self._waiting.clear()


class Producers:
    """Producer ids by the raw bytes of `source` and `boot`."""

    def __init__(self, keyed: KeyedHash) -> None:
        self._keyed = keyed
        self._index = HashIndex(KNOWN_PRODUCERS)

    def find(
        self, buffer: NDArray[np.uint8], start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """(producer id, whether it could be read) for each buffer[start:end], the two Avro strings. Shapes (n,)."""
        short = end - start <= HASHED_BYTES
        length = np.where(short, end - start, 0)
        keys = self._keyed.slices(buffer, start, length)
        ids, known = self._index.find(keys)
        if known.all():
            return ids.view(np.uint64), short
        unknown = np.flatnonzero(~known & short)
        distinct, first = np.unique(keys[unknown], return_index=True)
        rows = unknown[first].tolist()
        learnt = [_producer(buffer[int(start[row]) : int(end[row])].tobytes()) for row in rows]
        read = np.array([found is not None for found in learnt], np.bool_)
        new = np.array([found or 0 for found in learnt], np.uint64).view(np.int64)
        place = np.searchsorted(distinct, keys[unknown])
        ids[unknown], known[unknown] = new[place], read[place]
        self._index.add(distinct[read], new[read])
        return ids.view(np.uint64), known & short

    def forget(self) -> None:
        """Drop everything."""
        self._index.clear()


def _producer(data: bytes) -> int | None:
    """The id of two Avro strings; None when they are not that, or too long."""
    try:
        middle = walk_string(data, 0, 0)
        walk_string(data, middle, 0)
    except CorruptRecord:
        return None
    source, boot = data[read_long(data, 0)[1] : middle].decode(), data[read_long(data, middle)[1] :].decode()
    return producer_id(source, boot) if max(len(source), len(boot)) <= SOURCE_CHARS else None


class Tails:
    """Number of an event's definition by the raw bytes of its identity tail. `drops` counts how often it was full."""

    def __init__(self, keyed: KeyedHash) -> None:
        self._keyed = keyed
        self._index = HashIndex(KNOWN_TAILS)

    @property
    def drops(self) -> int:
        """Times that the cache was full and was dropped."""
        return self._index.drops

    def find(
        self,
        buffer: NDArray[np.uint8],
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        learn: Callable[[int], int | None],
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(number of the definition, whether it could be read) for each buffer[start:end], shapes (n,).

        `learn(row)` reads the series of a row whose tail is new; None when it cannot be read. Tails that cannot be read
        are not remembered, and those longer than HASHED_BYTES count as not readable here.
        """
        short = end - start <= HASHED_BYTES
        length = np.where(short, end - start, 0)
        keys = self._keyed.slices(buffer, start, length)
        series, known = self._index.find(keys)
        if known.all():
            return series, short
        unknown = np.flatnonzero(~known & short)
        distinct, first = np.unique(keys[unknown], return_index=True)
        learnt = [learn(row) for row in unknown[first].tolist()]
        read = np.array([found is not None for found in learnt], np.bool_)
        new = np.array([found or 0 for found in learnt], np.int64)
        place = np.searchsorted(distinct, keys[unknown])
        series[unknown], known[unknown] = new[place], read[place]
        self._index.add(distinct[read], new[read])
        return series, known & short

    def items(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """(hash of each known tail, number of its definition)."""
        return self._index.items()

    def restore(self, keys: NDArray[np.uint64], numbers: NDArray[np.int64]) -> None:
        """Inverse of `items`, into an empty one."""
        self._index.add(keys, numbers)

    def forget(self) -> None:
        """Drop everything."""
        self._index.clear()


class BatchTails:
    """Numbers of a batch's definitions, in the order of its table, by the raw bytes of its identity tail."""

    def __init__(self) -> None:
        self._known: dict[bytes, NDArray[np.int64]] = {}
        self._bytes = 0

    def get(self, tail: bytes) -> NDArray[np.int64] | None:
        """The number of each series; None when the tail is new."""
        return self._known.get(tail)

    def add(self, tail: bytes, series: NDArray[np.int64]) -> None:
        """Remember a tail."""
        if len(self._known) >= KNOWN_BATCH_TAILS or self._bytes + len(tail) > KNOWN_BATCH_TAIL_BYTES:
            self.forget()
        self._known[tail] = series
        self._bytes += len(tail)

    def forget(self) -> None:
        """Drop everything."""
        self._known.clear()
        self._bytes = 0
