"""A Kafka in memory: logs with offsets, LogAppendTime, compaction; a producer and a consumer with confluent's faces.

The product's own `Producer` and `StateLog` run on them. A record that is produced travels: it arrives at the broker
later, in order, and its acknowledgement arrives later still, or never.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import OFFSET_INVALID, KafkaError

from streams.records import Record, Records


class Kept(NamedTuple):
    """One record of a log."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class Broker:
    """All logs."""

    def __init__(self, now_ms: Callable[[], int], note: Callable[..., None]) -> None:
        self.logs: dict[tuple[str, int], list[Kept]] = collections.defaultdict(list)
        self.ends: collections.Counter[tuple[str, int]] = collections.Counter()
        self.committed: dict[tuple[str, str, int], int] = {}
        self._now_ms, self._note = now_ms, note

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> int:
        offset = self.ends[topic, partition]
        self.ends[topic, partition] += 1
        self.logs[topic, partition].append(Kept(offset, self._now_ms(), key, value))
        self._note("append", topic, partition, offset, key, value)
        return offset

    def read(self, topic: str, partition: int, start: int, most: int) -> list[Kept]:
        log = self.logs[topic, partition]
        at = bisect.bisect_left(log, start, key=lambda kept: kept.offset)
        return log[at : at + most]

    def records(self, topic: str, partition: int, start: int = 0, most: int = 1 << 30) -> Records:
        found = self.read(topic, partition, start, most)
        return Records.of([Record(kept.offset, kept.timestamp_ms, kept.value, kept.key) for kept in found])

    def compact(self, topic: str, partition: int) -> None:
        """Of each key the newest stays; a tombstone takes itself away too. The newest record is never compacted."""
        log = self.logs[topic, partition]
        newest = {kept.key: kept.offset for kept in log}
        last = log[-1].offset if log else -1
        kept = [k for k in log if k.offset == last or (newest[k.key] == k.offset and k.value is not None)]
        self.logs[topic, partition] = kept


class Report(NamedTuple):
    """What a delivery report carries."""

    name: str
    place: int
    at: int

    def topic(self) -> str:
        return self.name

    def partition(self) -> int:
        return self.place

    def offset(self) -> int:
        return self.at


class MemoryProducer:
    """librdkafka's face. `line` decides when a record arrives, whether it is taken, and when that is known."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._answers: collections.deque[tuple[float, Callable, KafkaError | None, Report]] = collections.deque()

    def produce(self, topic, value, key, partition, on_delivery) -> None:
        self._line.send(topic, value, key, partition, on_delivery)

    def poll(self, _: float) -> int:
        return self._line.answer()

    def flush(self, _: float) -> int:
        return 0


class Line:
    """The way to the broker and back; the world makes one a worker."""

    def send(self, topic: str, value: bytes | None, key: bytes | None, partition: int, on_delivery: Callable) -> None:
        raise NotImplementedError

    def answer(self) -> int:
        raise NotImplementedError


class Fetched(NamedTuple):
    """A message as a consumer of confluent's gives it."""

    kept: Kept

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self.kept.offset

    def value(self) -> bytes | None:
        return self.kept.value

    def key(self) -> bytes | None:
        return self.kept.key


class End(NamedTuple):
    """The end of a partition, as confluent tells it: an error with the offset that is next."""

    at: int

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._PARTITION_EOF)

    def offset(self) -> int:
        return self.at


class MemoryConsumer:
    """confluent's face, as far as the state log needs it. The pointer that it commits is a hint, and may be lost."""

    def __init__(self, broker: Broker, group: str, loses: Callable[[], bool]) -> None:
        self._broker, self._group, self._loses = broker, group, loses
        self._rest: collections.deque = collections.deque()

    def get_watermark_offsets(self, place, timeout: float) -> tuple[int, int]:
        return 0, self._broker.ends[place.topic, place.partition]

    def committed(self, places, timeout: float) -> list:
        for place in places:
            place.offset = self._broker.committed.get((self._group, place.topic, place.partition), OFFSET_INVALID)
        return places

    def assign(self, places) -> None:
        (place,) = places
        found = self._broker.read(place.topic, place.partition, place.offset, 1 << 30)
        self._rest = collections.deque([*map(Fetched, found), End(self._broker.ends[place.topic, place.partition])])

    def poll(self, _: float) -> Fetched | End | None:
        return self._rest.popleft() if self._rest else None

    def commit(self, offsets, asynchronous: bool) -> None:
        for place in offsets:
            if not self._loses():
                self._broker.committed[self._group, place.topic, place.partition] = place.offset

    def close(self) -> None:
        self._rest.clear()
