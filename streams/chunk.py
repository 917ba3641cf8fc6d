"""A chunk: the fetched records of one partition as one Faust message.

Why: Faust's path costs about 100 µs a message whatever the message holds; a chunk pays it once for thousands of
records. The offset of the Faust message is that of the chunk's last record. A chunk never exceeds its limits: a fetch
that would is cut into several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """One fetched record. `timestamp_ms` is the broker's arrival stamp where the topic has LogAppendTime."""

    offset: int
    timestamp_ms: int
    value: bytes
    key: bytes | None


class FetchedRecord(Protocol):
    """What aiokafka answers, as far as it is needed here."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Chunk(NamedTuple):
    """What Faust's `_to_message` reads of an aiokafka record; the value is the list of records."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: None
    value: list[Record]
    headers: tuple[()] = ()
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def cut(records: Sequence[FetchedRecord], max_records: int, max_bytes: int) -> Iterator[Chunk]:
    """The records of one partition as chunks within the limits, in order. A single record may exceed `max_bytes`."""
    part: list[Record] = []
    size = 0
    for record in records:
        value = record.value or b""
        if part and (len(part) >= max_records or size + len(value) > max_bytes):
            yield chunk_of(records[0], part, size)
            part, size = [], 0
        part.append(Record(record.offset, record.timestamp, value, record.key))
        size += len(value)
    if part:
        yield chunk_of(records[0], part, size)


def chunk_of(like: FetchedRecord, part: list[Record], size: int) -> Chunk:
    """One chunk of the partition that `like` is from."""
    last = part[-1]
    return Chunk(like.topic, like.partition, last.offset, last.timestamp_ms, 1, None, part, serialized_value_size=size)
