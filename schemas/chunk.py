"""Chunk: the values of many records as one padded buffer, and which of them are plain events or batches.

What: their bytes, first byte and end of each record, and the schema of each by its framing. Why: everything that is
read in lockstep reads from one buffer. It refuses to judge: what is of neither schema is left to the strict reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import keyed_hash, lockstep
from schemas.framing import CONFLUENT_HEADER_BYTES, SINGLE_OBJECT_HEADER_BYTES, SINGLE_OBJECT_MARK, WriterSchemas
from schemas.limits import RECORD_BYTES
from schemas.telemetry_schema import BATCH, EVENT

PADDING: Final = bytes(max(keyed_hash.PADDING_BYTES, lockstep.PADDING_BYTES))
_SINGLE: Final = np.uint64(int.from_bytes(SINGLE_OBJECT_MARK, "little"))
_EVENT: Final = np.uint64(int.from_bytes(EVENT.fingerprint, "little"))
_BATCH: Final = np.uint64(int.from_bytes(BATCH.fingerprint, "little"))


@dataclasses.dataclass(slots=True)
class Chunk:
    """n records. `start`, `end`: bounds in `buffer`, which ends with PADDING for every gather of this room.

    Between the values there may be bytes of no meaning here.
    """

    buffer: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Chunk:
        """Join the values."""
        end = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
        start = np.zeros(len(end), np.int64)
        start[1:] = end[:-1]
        return cls(np.frombuffer(b"".join([*values, PADDING]), np.uint8), start, end)

    def value(self, row: int) -> bytes:
        """One record's bytes."""
        return self.buffer[int(self.start[row]) : int(self.end[row])].tobytes()

    def kinds(self, schemas: WriterSchemas) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """(size of the framing, is an event, is a batch), shapes (n,). The lookup's errors pass."""
        words = np.ndarray((len(self.buffer) - 7,), "<u8", self.buffer, strides=(1,))
        first = words[self.start]
        size = self.end - self.start
        single = (first & np.uint64(0xFFFF)) == _SINGLE
        mark = words[self.start + 2]
        event = single & (mark == _EVENT)
        if event.all() and int(size.max(initial=0)) <= RECORD_BYTES:
            return np.full(len(size), SINGLE_OBJECT_HEADER_BYTES), event, np.zeros(len(size), np.bool_)
        batch = single & (mark == _BATCH)
        header = np.full(len(size), SINGLE_OBJECT_HEADER_BYTES, np.int64)
        confluent = np.flatnonzero(((first & np.uint64(0xFF)) == 0) & (size >= CONFLUENT_HEADER_BYTES))
        if len(confluent):
            header[confluent] = CONFLUENT_HEADER_BYTES
            ids = (first[confluent] >> np.uint64(8)).astype(np.uint32).byteswap()
            for schema_id in np.unique(ids).tolist():
                schema = schemas.by_id(schema_id)
                if schema is EVENT:
                    event[confluent[ids == schema_id]] = True
                elif schema is BATCH:
                    batch[confluent[ids == schema_id]] = True
        small = size <= RECORD_BYTES
        return header, event & small, batch & small
