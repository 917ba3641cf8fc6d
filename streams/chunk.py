"""A chunk: the fetched records of one partition as one Faust message.

What: the record as the rooms see it, the chunk as Faust sees it, and the cut between them. Why: Faust's path costs about
100 µs a message whatever the message holds; a chunk pays it once for thousands of records. The offset of the Faust
message is that of the chunk's last record. It refuses to exceed its limits: a fetch that would is cut into several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: Name of the header that says from which offset on a chunk covers the log: [begins, offset of its last record].
BEGINS = "begins"


class Record(NamedTuple):
    """One fetched record. `timestamp_ms` is the broker's arrival stamp where the topic has LogAppendTime."""

    offset: int
    timestamp_ms: int
    value: bytes
    key: bytes | None


class Chunk(NamedTuple):
    """What Faust's `_to_message` reads of an aiokafka record; the value is the list of records."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: None
    value: list[Record]
    headers: tuple[tuple[str, int]] = ((BEGINS, 0),)
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def cut(
    topic: str, partition: int, begins: int, records: list[Record], max_records: int, max_bytes: int
) -> Iterator[Chunk]:
    """The records of one partition as chunks within the limits, in order. A single record may exceed `max_bytes`.

    `begins` is the offset from which on `records` are all that the log holds; where the log has holes it is lower than
    the first record's.
    """
    size = bytes_of(records)
    if not records:
        return
    if len(records) <= max_records and size <= max_bytes:
        yield chunk_of(topic, partition, begins, records, size)
        return
    part: list[Record] = []
    size = 0
    for record in records:
        if part and (len(part) >= max_records or size + len(record.value) > max_bytes):
            yield chunk_of(topic, partition, begins, part, size)
            begins = part[-1].offset + 1
            part, size = [], 0
        part.append(record)
        size += len(record.value)
    yield chunk_of(topic, partition, begins, part, size)


def bytes_of(records: Sequence[Record]) -> int:
    """Bytes of the records' values."""
    return sum([len(record[2]) for record in records])


def chunk_of(topic: str, partition: int, begins: int, part: list[Record], size: int) -> Chunk:
    """One chunk; time stamp and offset are the last record's."""
    last = part[-1]
    return Chunk(topic, partition, last.offset, last.timestamp_ms, 1, None, part, ((BEGINS, begins),), None, 0, size)
