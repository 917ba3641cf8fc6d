"""Bounded decompression of fetched batches: no batch may unfold beyond a limit.

What: replaces the four decode functions that aiokafka's compiled record parser looks up in its module, by ones that
unfold into a bounded buffer, and aiokafka's PartitionRecords by one that skips a batch which does not fit or is
torn. Why: aiokafka unfolds a batch whole, whatever its size, so one hostile producer could end every worker; and a
batch that raises would be fetched again for ever. In place of the skipped batch its last offset carries a marker,
which becomes a dead letter that names the offsets. As a gain, one buffer for all batches unfolds twice as fast.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cramjam
import structlog
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record._crecords import default_records

log = structlog.get_logger(__name__)

FIRST_BUFFER = 4 << 20
REFUSED_BATCH = b"tocsin: batch refused: "
_TOO_SMALL = "failed to write whole buffer"
_XERIAL_HEADER = 16


class BatchTooLarge(ValueError):
    """A fetched batch unfolds beyond the limit."""


class _Scratch(threading.local):
    """One growing buffer for each thread."""

    def __init__(self) -> None:
        self.buffer = bytearray(FIRST_BUFFER)


_scratch = _Scratch()


def bounded(unfold: Callable[[Any, Any], int], limit: int) -> Callable[[Any], bytes]:
    """A decoder that never holds more than `limit` bytes. `unfold(source, target)` answers the bytes written."""

    def decode(payload: Any) -> bytes:
        while True:
            buffer = _scratch.buffer
            try:
                size = unfold(payload, buffer)
                return bytes(memoryview(buffer)[:size])
            except cramjam.DecompressionError as error:
                if _TOO_SMALL not in str(error):
                    raise
                if len(buffer) >= limit:
                    raise BatchTooLarge(f"unfolds beyond {limit} bytes") from None
                _scratch.buffer = bytearray(min(len(buffer) * 4, limit))

    return decode


def bounded_snappy(limit: int) -> Callable[[Any], bytes]:
    """Snappy declares its size, in each block of a xerial stream too; the sum is checked before anything unfolds."""

    def decode(payload: Any) -> bytes:
        data = bytes(payload)
        if _declared(data) > limit:
            raise BatchTooLarge(f"declares {_declared(data)} bytes, the limit is {limit}")
        return bytes(codec.snappy_decode(data))

    return decode


def _declared(data: bytes) -> int:
    if not codec._detect_xerial_stream(data):  # noqa: SLF001  # the detection must be the decoder's own
        return _uvarint(data, 0)
    total, at = 0, _XERIAL_HEADER
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        total += _uvarint(data, at + 4)
        at += 4 + size
    return total


def _uvarint(data: bytes, at: int) -> int:
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            break
        at += 1
    return value


class Fetched(NamedTuple):
    """What we keep of a record; cheaper to make than aiokafka's ConsumerRecord."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class BoundedRecords(fetcher.PartitionRecords):
    """The records of one fetch response; a batch that can't be unfolded is skipped and marked."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Fetched]:
        topic, partition = self._tp.topic, self._tp.partition
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not batch.is_control_batch:
                for record in self._unfolded(batch, topic, partition):
                    if record.offset >= self.next_fetch_offset:
                        self.next_fetch_offset = record.offset + 1
                        yield record
            # the batch's own last offset, since compaction may have removed its last records
            self.next_fetch_offset = batch.next_offset

    def _unfolded(self, batch: Any, topic: str, partition: int) -> list[Fetched]:
        try:
            return [Fetched(topic, partition, r.offset, r.timestamp, r.key, r.value) for r in batch]
        except (BatchTooLarge, cramjam.DecompressionError, OSError, EOFError) as error:
            first, last = batch.base_offset, batch.next_offset - 1
            log.warning("batch_refused", topic=topic, partition=partition, first=first, last=last, error=str(error))
            note = REFUSED_BATCH + f"{topic}[{partition}] offsets {first} to {last}: {error}".encode()
            return [Fetched(topic, partition, last, batch.max_timestamp or 0, None, note)]


def bound(limit: int) -> None:
    """Put the bounds in place for this process."""
    default_records.gzip_decode = bounded(cramjam.gzip.decompress_into, limit)
    default_records.lz4_decode = bounded(cramjam.lz4.decompress_into, limit)
    default_records.zstd_decode = bounded(cramjam.zstd.decompress_into, limit)
    default_records.snappy_decode = bounded_snappy(limit)
    fetcher.PartitionRecords = BoundedRecords
