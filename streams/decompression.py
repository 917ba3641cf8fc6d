"""Bounded decompression of fetched batches: neither a batch nor a fetch may unfold beyond a limit.

What: replaces the four decode functions that aiokafka's compiled record parser looks up in its module by ones that
unfold into a bounded buffer; aiokafka's PartitionRecords by one that steps over a batch which does not fit or is torn;
and its FetchResult by one that hands over a bounded number of bytes. Why: aiokafka unfolds a batch whole, whatever its
size, so one hostile producer could end every worker; and a batch that raises would be fetched again for ever. In place
of the refused batch its last offset carries a note, which no decoder reads and which so becomes a dead letter that
names the offsets. As a gain, one buffer for all batches unfolds twice as fast. It refuses to skip a batch whose
checksum is wrong: that is damage on the way or on the disk, and reading it again may help.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
import structlog
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record._crecords import default_records

from streams.chunk import Record
from streams.limits import FIRST_BUFFER_BYTES, FREE_UNFOLD_BYTES, MAX_FETCH_BYTES, MAX_UNFOLD_RATIO

log = structlog.get_logger(__name__)

REFUSED_BATCH = b"tocsin: batch refused: "
_TOO_SMALL = "failed to write whole buffer"
_XERIAL_HEADER = 16
_MAX_VARINT_BITS = 35


class BatchTooLarge(ValueError):
    """A fetched batch unfolds beyond its limit."""


class _Scratch(threading.local):
    """One growing buffer for each thread."""

    def __init__(self) -> None:
        self.buffer = bytearray(FIRST_BUFFER_BYTES)


_scratch = _Scratch()


def allowed(size: int, limit: int) -> int:
    """Bytes that a batch of `size` compressed bytes may unfold to."""
    return min(limit, max(FREE_UNFOLD_BYTES, size * MAX_UNFOLD_RATIO))


def bounded(unfold: Callable[[Any, Any], int], limit: int) -> Callable[[Any], bytes]:
    """A decoder that never holds more than `limit` bytes. `unfold(source, target)` answers the bytes written."""

    def decode(payload: Any) -> bytes:
        most = allowed(len(payload), limit)
        while True:
            whole = _scratch.buffer
            target = memoryview(whole)[:most]
            try:
                size = unfold(payload, target)
                return bytes(target[:size])
            except cramjam.DecompressionError as error:
                if _TOO_SMALL not in str(error):
                    raise
                if len(target) >= most:
                    raise BatchTooLarge(f"{len(payload)} bytes unfold beyond {most}") from None
                _scratch.buffer = bytearray(min(len(whole) * 4, limit))

    return decode


def bounded_snappy(limit: int) -> Callable[[Any], bytes]:
    """Snappy declares its size, in each block of a xerial stream too; the sum is checked before anything unfolds."""

    def decode(payload: Any) -> bytes:
        data = bytes(payload)
        declared, most = _declared(data), allowed(len(data), limit)
        if declared > most:
            raise BatchTooLarge(f"{len(data)} bytes declare {declared}, the limit is {most}")
        return bytes(codec.snappy_decode(data))

    return decode


def _declared(data: bytes) -> int:
    if not codec._detect_xerial_stream(data):  # noqa: SLF001  # aiokafka's own question
        return _uvarint(data, 0)
    total, at = 0, _XERIAL_HEADER
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        total += _uvarint(data, at + 4)
        at += 4 + size
    return total


def _uvarint(data: bytes, at: int) -> int:
    value = 0
    for shift in range(0, _MAX_VARINT_BITS, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            break
        at += 1
    return value


class BoundedRecords(fetcher.PartitionRecords):
    """The records of one fetch response, as ours; a batch that can't be unfolded is stepped over and noted."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Record]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not batch.is_control_batch:
                for record in self._unfolded(batch):
                    if record.offset >= self.next_fetch_offset:
                        self.next_fetch_offset = record.offset + 1
                        yield record
            # the batch's own last offset, since compaction may have removed its last records
            self.next_fetch_offset = batch.next_offset

    def _unfolded(self, batch: Any) -> list[Record]:
        try:
            return [Record(r.offset, r.timestamp, r.value or b"", r.key) for r in batch]
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a hostile batch raises, the partition moves on
            topic, partition = self._tp
            first, last = batch.base_offset, batch.next_offset - 1
            log.warning("batch_refused", topic=topic, partition=partition, first=first, last=last, error=str(error))
            note = REFUSED_BATCH + f"{topic}[{partition}] offsets {first} to {last}: {error}".encode()
            return [Record(last, batch.max_timestamp or 0, note, None)]


class BoundedResult(fetcher.FetchResult):
    """Hands over records up to a number and a number of bytes; the rest stays for the next call."""

    max_bytes = MAX_FETCH_BYTES
    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Record]:
        """As aiokafka's, with the second bound."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        most = max_records or (1 << 62)
        left = self.max_bytes
        taken: list[Record] = []
        for record in self._partition_records:
            taken.append(record)
            left -= len(record[2])
            if left <= 0 or len(taken) >= most:
                self._update_position()
                return taken
        self._update_position()
        self._partition_records = None
        return taken


def bound(limit: int, fetch_bytes: int = MAX_FETCH_BYTES) -> None:
    """Put the bounds in place for this process: bytes of one unfolded batch, bytes of one partition and fetch."""
    default_records.gzip_decode = bounded(cramjam.gzip.decompress_into, limit)
    default_records.lz4_decode = bounded(cramjam.lz4.decompress_into, limit)
    default_records.zstd_decode = bounded(cramjam.zstd.decompress_into, limit)
    default_records.snappy_decode = bounded_snappy(limit)
    BoundedResult.max_bytes = fetch_bytes
    fetcher.PartitionRecords = BoundedRecords
    fetcher.FetchResult = BoundedResult
