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

import itertools
import threading
from collections.abc import Callable
from typing import Any

import cramjam
import structlog
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record._crecords import default_records

from streams.chunk import Record, bytes_of
from streams.limits import FIRST_BUFFER_BYTES, FREE_UNFOLD_BYTES, MAX_FETCH_BYTES, MAX_UNFOLD_RATIO

log = structlog.get_logger(__name__)

REFUSED_BATCH = b"tocsin: batch refused: "
_TOO_SMALL = "failed to write whole buffer"
_XERIAL_HEADER = 16
_MAX_VARINT_BITS = 35
_ANY_NUMBER = 1 << 62
_new = tuple.__new__  # a third faster than calling the named tuple, and it is called for each record


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

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._batch: list[Record] = []  # the unfolded batch, and how much of it was taken
        self._taken = 0
        self._after = 0  # the batch's own next offset, since compaction may have removed its last records

    def __next__(self) -> Record:
        """Nobody takes single records here."""
        raise NotImplementedError("take() is the way to these records")

    def take(self, max_records: int, max_bytes: int) -> list[Record]:
        """The next records: up to a number, and no more once `max_bytes` are exceeded. None left: an empty list."""
        taken: list[Record] = []
        size = 0
        while len(taken) < max_records and size < max_bytes and (self._taken < len(self._batch) or self._next_batch()):
            part = self._batch[self._taken : self._taken + max_records - len(taken)]
            part_size = bytes_of(part)
            if size + part_size > max_bytes:
                part = part[: _fitting(part, max_bytes - size)]
                part_size = max_bytes
            self._taken += len(part)
            size += part_size
            taken += part
            self.next_fetch_offset = self._after if self._taken == len(self._batch) else part[-1].offset + 1
        return taken

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._taken >= len(self._batch) and not self._records.has_next()

    def _next_batch(self) -> bool:
        """Unfold the next batch that holds records; False when there is none."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            found = [] if batch.is_control_batch else self._unfolded(batch)
            if found and found[0].offset < self.next_fetch_offset:  # a fetch may begin inside a batch
                found = [record for record in found if record.offset >= self.next_fetch_offset]
            self._batch, self._taken, self._after = found, 0, batch.next_offset
            if found:
                return True
            self.next_fetch_offset = batch.next_offset
        return False

    def _unfolded(self, batch: Any) -> list[Record]:
        try:
            return [_new(Record, (r.offset, r.timestamp, r.value or b"", r.key)) for r in batch]
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a hostile batch raises, the partition moves on
            topic, partition = self._tp
            first, last = batch.base_offset, batch.next_offset - 1
            log.warning("batch_refused", topic=topic, partition=partition, first=first, last=last, error=str(error))
            note = REFUSED_BATCH + f"{topic}[{partition}] offsets {first} to {last}: {error}".encode()
            return [Record(last, batch.max_timestamp or 0, note, None)]


def _fitting(part: list[Record], most: int) -> int:
    """How many of the records have at most `most` bytes together, and the one that exceeds them."""
    sizes = itertools.accumulate(len(record.value) for record in part)
    return 1 + sum(1 for _ in itertools.takewhile(lambda size: size <= most, sizes))


class BoundedResult(fetcher.FetchResult):
    """Hands over records up to a number and a number of bytes; the rest stays for the next call."""

    max_bytes = MAX_FETCH_BYTES
    _partition_records: BoundedRecords | None

    def getall(self, max_records: int | None = None) -> list[Record]:
        """As aiokafka's, with the second bound."""
        records = self._partition_records
        if not self.check_assignment(self._topic_partition) or records is None:
            return []
        most = max_records or _ANY_NUMBER
        taken = records.take(most, self.max_bytes)
        self._update_position()
        if records.done:
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
