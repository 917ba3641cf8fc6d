"""A chunk: the fetched records of one partition as one Faust message.

What: the chunk as Faust sees it, and the cut into chunks. Why: Faust's path costs about
100 µs a message whatever the message holds; a chunk pays it once for thousands of records. The offset of the Faust
message is that of the chunk's last record. It refuses to exceed its limits: a fetch that would is cut into several.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streams.records import Records

#: Name of the header that says from which offset on a chunk covers the log: [begins, offset of its last record].
BEGINS = "begins"


class Chunk(NamedTuple):
    """What Faust's `_to_message` reads of an aiokafka record; the value is the records."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: None
    value: Records
    headers: tuple[tuple[str, int]] = ((BEGINS, 0),)
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def cut(topic: str, partition: int, begins: int, records: Records, max_records: int, max_bytes: int) -> Iterator[Chunk]:
    """The records of one partition as chunks within the limits, in order. A single record may exceed `max_bytes`.

    `begins` is the offset from which on `records` are all that the log holds; where the log has holes it is lower than
    the first record's.
    """
    first = 0
    while first < len(records):
        most = records[first : first + max_records]
        fitting = int(np.searchsorted(np.cumsum(most.sizes), max_bytes, "right"))
        part = most[: max(1, fitting)]
        yield chunk_of(topic, partition, begins, part)
        begins = int(part.offset[-1]) + 1
        first += len(part)


def chunk_of(topic: str, partition: int, begins: int, part: Records) -> Chunk:
    """One chunk; time stamp and offset are the last record's."""
    offset, timestamp_ms = int(part.offset[-1]), int(part.timestamp_ms[-1])
    return Chunk(topic, partition, offset, timestamp_ms, 1, None, part, ((BEGINS, begins),), None, 0, part.size)
