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
_GOES_ON = 0x80  # a byte of a varint from here on is not its last

#: Unfolds a payload by codec number; what it answers ends with PADDING, so that nobody copies it once more for that.
Decoders = Mapping[int, Callable[[memoryview], bytes]]


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
        payload = self._data[_HEADER.size :]
        data = decoders[codec](payload) if codec else b"".join([payload, PADDING])
        begin, end = record_bounds(data, self._count)
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
    """(first byte after its length, end) of each record of a batch, shapes (count,). `data` ends with PADDING.

    Raises MalformedBatch.
    """
    size = len(data) - len(PADDING)
    if not 0 <= count <= size // _LEAST_RECORD_BYTES:
        raise MalformedBatch(f"{count} records in {size} bytes")
    ends = _ends(data, count)
    at = ends[-1] if count else 0
    if at != size:
        raise MalformedBatch(f"{count} records end at byte {at} of {size}")
    end = np.array(ends, np.int64)
    octets = np.frombuffer(data, np.uint8)
    begin = np.append(np.int64(0), end)[:-1]  # of the length, and then beyond it
    if np.any(octets[begin] & 1):
        raise MalformedBatch(f"record {int(np.argmax(octets[begin] & 1))} of {count} has a negative length")
    more = np.arange(count)
    while len(more):  # as often as the longest length has bytes
        more = more[octets[begin[more]] >= _GOES_ON]
        begin[more] += 1
    return begin + 1, end


def _ends(data: bytes, count: int) -> list[int]:
    """Where each record ends, by its length alone. Raises MalformedBatch where the bytes end before.

    Most lengths take one or two bytes, and this is the only Python that a record costs. The sign of a length is its
    lowest bit; whoever asks looks at that, of all at once.
    """
    ends: list[int] = []
    append, at = ends.append, 0
    try:
        for _ in range(count):
            low = data[at]
            if low < _GOES_ON:
                at += 1 + (low >> 1)
            elif (high := data[at + 1]) < _GOES_ON:
                at += 2 + (low >> 1 & 0x3F) + (high << 6)
            else:
                at = _after_long_length(data, at)
            append(at)
    except IndexError:
        raise MalformedBatch(f"{count} records, the bytes end in record {len(ends)}") from None
    return ends


def _after_long_length(data: bytes, at: int) -> int:
    """Where a record ends whose length has three bytes or more. Raises MalformedBatch, IndexError at the end."""
    value = 0
    for place in range(_LONGEST_VARINT):
        value |= (data[at + place] & 0x7F) << 7 * place
        if data[at + place] < _GOES_ON:
            return at + place + 1 + (value >> 1)
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
