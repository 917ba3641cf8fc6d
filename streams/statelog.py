"""The state log: snapshots in a compacted topic, and reading the newest one back.

What: `write` turns a snapshot into records for the delivery-checked producer, `load` reads one partition's log with a
deadline and answers the newest whole snapshot. The start of the newest snapshot is remembered as the committed offset
of a group of its own, so that a load reads seconds of log instead of all of it; the pointer is a hint: when what it
points at holds no whole snapshot, the log is read from its beginning. Refuses to interpret a snapshot's bytes.
"""

from __future__ import annotations

import asyncio
import secrets
import time

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from streams import snapshots, topics
from streams.errors import RestoreFailed
from streams.producer import Outgoing
from streams.snapshots import Part, Snapshot

log = structlog.get_logger(__name__)
POLL_S = 0.2
BATCH = 64


class StateLog:
    """The state of one stage; one instance a process. `stage` names the topic tocsin.state.<stage>."""

    def __init__(self, bootstrap: str, application: str, stage: str, timeout_s: float) -> None:
        self.topic = topics.STATE_PREFIX + stage
        self._group = f"{application}.state.{stage}"
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s

    async def load(self, partition: int) -> tuple[Snapshot | None, list[bytes]]:
        """(newest whole snapshot, keys of all parts seen). Raises RestoreFailed after the deadline."""
        return await asyncio.get_running_loop().run_in_executor(None, self._load, partition)

    def _load(self, partition: int) -> tuple[Snapshot | None, list[bytes]]:
        deadline = time.monotonic() + self._timeout_s
        consumer = self._consumer()
        try:
            place = TopicPartition(self.topic, partition)
            low, high = consumer.get_watermark_offsets(place, timeout=self._timeout_s)
            hint = consumer.committed([place], timeout=self._timeout_s)[0].offset
            start = hint if hint != OFFSET_INVALID and low <= hint < high else low
            parts, keys = self._read(consumer, partition, start, high, deadline)
            found = snapshots.newest(parts)
            if found is None and start > low:
                parts, keys = self._read(consumer, partition, low, high, deadline)
                found = snapshots.newest(parts)
            return found, keys
        finally:
            consumer.close()

    def _read(
        self, consumer: Consumer, partition: int, start: int, end: int, deadline: float
    ) -> tuple[list[Part], list[bytes]]:
        """All parts in [start, end), and their keys; tombstones take their key away."""
        parts: dict[bytes, Part | None] = {}
        if start >= end:
            return [], []
        consumer.assign([TopicPartition(self.topic, partition, start)])
        at = start
        while at < end:
            if time.monotonic() > deadline:
                raise RestoreFailed(f"{self.topic}[{partition}]: at offset {at} of {end} after {self._timeout_s} s")
            for message in consumer.consume(BATCH, POLL_S):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                    at = max(at, int(message.offset() or 0))
                elif error is not None:
                    raise RestoreFailed(f"{self.topic}[{partition}]: {error.str()}")
                else:
                    at = int(message.offset() or 0) + 1
                    value = message.value()
                    parts[bytes(message.key() or b"")] = snapshots.decode(value) if value is not None else None
        return [part for part in parts.values() if part is not None], [k for k, part in parts.items() if part]

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": self._group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.max.bytes": 64 << 20,
                "max.partition.fetch.bytes": 16 << 20,
                "fetch.wait.max.ms": 50,
            }
        )

    async def point(self, partition: int, offset: int) -> None:
        """Remember where the newest snapshot begins. A failure only makes the next load longer."""
        await asyncio.get_running_loop().run_in_executor(None, self._point, partition, offset)

    def _point(self, partition: int, offset: int) -> None:
        consumer = self._consumer()
        try:
            consumer.commit(offsets=[TopicPartition(self.topic, partition, offset)], asynchronous=False)
        except KafkaException as error:
            log.warning("state_pointer_not_saved", topic=self.topic, partition=partition, error=str(error))
        finally:
            consumer.close()


class Writer:
    """Writes the snapshots of one partition while this process owns it."""

    def __init__(self, topic: str, partition: int, epoch: int, number: int, inherited: list[bytes]) -> None:
        self.topic, self.partition, self.epoch = topic, partition, epoch
        self._writer = secrets.randbits(64)
        self._number = number
        self._inherited = inherited  # keys of other writers, to be deleted after the first own snapshot

    def records(self, fence: int, data: bytes) -> list[Outgoing]:
        """The records of the next snapshot, in order."""
        self._number += 1
        snapshot = Snapshot(self.partition, self.epoch, fence, self._number, self._writer, data)
        return [Outgoing(self.topic, part.key, part.encode(), self.partition) for part in snapshots.cut(snapshot)]

    def tombstones(self) -> list[Outgoing]:
        """Deletes what earlier writers left. Call when an own snapshot is acknowledged; empty from then on."""
        stale, self._inherited = self._inherited, []
        return [Outgoing(self.topic, key, None, self.partition) for key in stale]
