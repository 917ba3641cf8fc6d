"""Kafka's record batches as columns, without an object a record.

What: `Batches` cuts the bytes of one fetch into batches, `Batch.records` unfolds one into `Records`. The only Python a
record is the step from one record's length to the next; all other fields are read in lockstep. Why: aiokafka's parser
makes an object of each record, and that was two thirds of a single event's cost. The format is Kafka's message format
version 2 (kafka.apache.org, Implementation, Message Format). It refuses older formats, which brokers of version 4 do
not send, and batches whose bytes do not add up: MalformedBatch.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import numpy as np
from aiokafka.record.util import calc_crc32c
from numpy.typing import NDArray

from schemas.chunk import PADDING
from schemas.lockstep import Lockstep
from streams.records import EMPTY, NO_KEY, Records

#: base offset, length, leader epoch, magic, crc, attributes, last offset delta, base and greatest time, producer id and
#: epoch, base sequence, number of records
_HEADER = struct.Struct(">qiibIhiqqqhii")
_FRAME = struct.Struct(">qi")  # what `length` does not count
_CRC_FROM = 21
_MAGIC = 2
_CODEC, _LOG_APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_LEAST_RECORD_BYTES = 7
_LONGEST_VARINT = 5

#: Unfolds a payload by codec number.
Decoders = Mapping[int, Callable[[bytes], bytes]]


class MalformedBatch(ValueError):
    """The bytes of a batch are not what its header says."""


class Batch:
    """One batch as it was fetched. `data`: header and records."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        (
            self.base_offset, _, _, self.magic, self._crc, self._attributes, last, self._base_ms, self.max_timestamp,
            _, _, _, self._count,
        ) = _HEADER.unpack_from(data)  # fmt: skip
        self.next_offset = self.base_offset + last + 1

    @property
    def is_control_batch(self) -> bool:
        """Whether it holds a transaction's marker and no records of anybody."""
        return bool(self._attributes & _CONTROL)

    def validate_crc(self) -> bool:
        """Whether the checksum is right; older formats have another, which is not looked at."""
        return self.magic != _MAGIC or bool(calc_crc32c(self._data[_CRC_FROM:]) == self._crc)

    def records(self, decoders: Decoders) -> Records:
        """All records. Raises MalformedBatch, and what a decoder raises."""
        if self.magic != _MAGIC:
            raise MalformedBatch(f"message format {self.magic}; only {_MAGIC} is read")
        if self._count == 0:  # compaction took them all
            return EMPTY
        codec = self._attributes & _CODEC
        if codec and codec not in decoders:
            raise MalformedBatch(f"unknown compression {codec}")
        payload = bytes(self._data[_HEADER.size :])
        payload = decoders[codec](payload) if codec else payload
        begin, end = record_bounds(payload, self._count)
        data = payload + PADDING
        step = Lockstep(np.frombuffer(data, np.uint8), begin, end)
        step.skip(1)  # attributes, unused
        time = step.long()
        offset = step.long()
        key_start, key_size = _field(step)
        start, size = _field(step)
        if not step.ok.all():
            raise MalformedBatch(f"record {int(np.argmin(step.ok))} of {self._count} does not add up")
        stamped = self._attributes & _LOG_APPEND_TIME
        return Records(
            data=data,
            offset=offset + self.base_offset,
            timestamp_ms=np.full(len(offset), self.max_timestamp) if stamped else time + self._base_ms,
            start=start,
            end=start + np.maximum(size, 0),
            key_start=key_start,
            key_size=key_size,
        )


def _field(step: Lockstep) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first byte, size) of a length, NO_KEY for null, and so many bytes."""
    size = step.long()
    start = step.at
    step.require(size >= NO_KEY)
    step.skip(np.maximum(size, 0))
    return start, size


def record_bounds(data: bytes, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first byte after its length, end) of each record of a batch, shapes (count,). Raises MalformedBatch."""
    if not 0 <= count <= len(data) // _LEAST_RECORD_BYTES:
        raise MalformedBatch(f"{count} records in {len(data)} bytes")
    begins: list[int] = []
    ends: list[int] = []
    at = 0
    try:
        for _ in range(count):
            low = data[at]
            if low < 0x80:  # most lengths take one or two bytes: this is the only Python that a record costs
                at += 1
            elif data[at + 1] < 0x80:
                low = low & 0x7F | data[at + 1] << 7
                at += 2
            else:
                low, at = _long_length(data, at)
            begins.append(at)
            at += low >> 1 if not low & 1 else -1 - at  # an odd number is a negative length
            ends.append(at)
    except IndexError:
        raise MalformedBatch(f"{count} records, the bytes end in record {len(begins)}") from None
    if at != len(data) or (ends and min(ends) < 0):
        raise MalformedBatch(f"{count} records end at byte {at} of {len(data)}")
    return np.array(begins, np.int64), np.array(ends, np.int64)


def _long_length(data: bytes, at: int) -> tuple[int, int]:
    """(number before its sign is folded out, first byte after it). Raises MalformedBatch, IndexError at the end."""
    value = 0
    for place in range(_LONGEST_VARINT):
        value |= (data[at + place] & 0x7F) << 7 * place
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise MalformedBatch(f"a length of more than {_LONGEST_VARINT} bytes at byte {at}")


class Batches:
    """The batches of one fetched answer, one by one; the last may be cut off and is left for the next fetch."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def _next_size(self) -> int:
        """Bytes of the next batch; 0 when it has not come whole."""
        left = len(self._data) - self._at
        if left < _FRAME.size:
            return 0
        size = _FRAME.size + int(_FRAME.unpack_from(self._data, self._at)[1])
        return size if _HEADER.size <= size <= left else 0

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return self._next_size() > 0

    def size_in_bytes(self) -> int:
        """Of all that was fetched."""
        return len(self._data)

    def next_batch(self) -> Batch:
        """The next batch; only after `has_next`."""
        size = self._next_size()
        self._at += size
        return Batch(self._data[self._at - size : self._at])
