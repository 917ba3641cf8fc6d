"""What a fetch hands over: columns, bounded in records and bytes; a batch that can't be read is stepped over and noted.

What: takes the place of aiokafka's MemoryRecords, PartitionRecords and FetchResult. Why: aiokafka raises for a batch
that does not unfold, which would be fetched again for ever, and knows no bound in bytes. In place of a refused batch its
last offset carries a note, which no decoder reads and which so becomes a dead letter that names the offsets. It refuses
to skip a batch whose checksum is wrong: that is damage on the way or on the disk, and reading it again may help.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import structlog
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from streams.decompression import decoders
from streams.limits import MAX_FETCH_BYTES
from streams.recordbatch import Batch, Batches, Decoders
from streams.records import EMPTY, Record, Records

log = structlog.get_logger(__name__)

REFUSED_BATCH = b"tocsin: batch refused: "
_ANY_NUMBER = 1 << 62


class BoundedRecords(fetcher.PartitionRecords):
    """The records of one fetch response, as columns."""

    next_fetch_offset: int
    decoders: Decoders

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._batch = EMPTY  # the unfolded batch, and how much of it was taken
        self._taken = 0
        self._after = 0  # the batch's own next offset, since compaction may have removed its last records

    def __next__(self) -> Record:
        """Nobody takes single records here."""
        raise NotImplementedError("take() is the way to these records")

    def take(self, max_records: int, max_bytes: int) -> Records:
        """The next records: up to a number, and no more once `max_bytes` are exceeded. None left: none."""
        parts: list[Records] = []
        count = size = 0
        while count < max_records and size < max_bytes and (self._taken < len(self._batch) or self._next_batch()):
            part = self._batch[self._taken : self._taken + max_records - count]
            sizes = np.cumsum(part.sizes)
            if size + int(sizes[-1]) > max_bytes:  # those that fit, and the one that exceeds the bound
                fitting = 1 + int(np.searchsorted(sizes, max_bytes - size, "right"))
                part, sizes = part[:fitting], sizes[:fitting]
            self._taken += len(part)
            count += len(part)
            size += int(sizes[-1])
            parts.append(part)
            self.next_fetch_offset = self._after if self._taken == len(self._batch) else int(part.offset[-1]) + 1
        return Records.joined(parts)

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._taken >= len(self._batch) and not self._records.has_next()

    def _next_batch(self) -> bool:
        """Unfold the next batch that holds records; False when there is none."""
        while self._records.has_next():
            batch: Batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            found = EMPTY if batch.is_control_batch else self._unfolded(batch)
            self._batch = found.after(self.next_fetch_offset - 1)  # a fetch may begin inside a batch
            self._taken, self._after = 0, batch.next_offset
            if len(self._batch):
                return True
            self.next_fetch_offset = batch.next_offset
        return False

    def _unfolded(self, batch: Batch) -> Records:
        try:
            return batch.records(self.decoders)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a hostile batch raises, the partition moves on
            topic, partition = self._tp
            first, last = batch.base_offset, batch.next_offset - 1
            log.warning("batch_refused", topic=topic, partition=partition, first=first, last=last, error=str(error))
            note = REFUSED_BATCH + f"{topic}[{partition}] offsets {first} to {last}: {error}".encode()
            return Records.of([Record(last, batch.max_timestamp, note, None)])


class BoundedResult(fetcher.FetchResult):
    """Hands over records up to a number and a number of bytes; the rest stays for the next call."""

    max_bytes = MAX_FETCH_BYTES
    _partition_records: BoundedRecords | None

    def getall(self, max_records: int | None = None) -> Records:
        """As aiokafka's, with the second bound."""
        records = self._partition_records
        if not self.check_assignment(self._topic_partition) or records is None:
            return EMPTY
        most = max_records or _ANY_NUMBER
        taken = records.take(most, self.max_bytes)
        self._update_position()
        if records.done:
            self._partition_records = None
        return taken


def bound(limit: int, fetch_bytes: int = MAX_FETCH_BYTES) -> None:
    """Put the bounds in place for this process: bytes of one unfolded batch, bytes of one partition and fetch."""
    BoundedRecords.decoders = decoders(limit)
    BoundedResult.max_bytes = fetch_bytes
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = BoundedRecords
    fetcher.FetchResult = BoundedResult
