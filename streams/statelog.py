"""The state log: snapshots in a compacted topic, and reading the newest one back.

What: `Writer` turns a snapshot into records for the delivery-checked producer, `load` reads one partition's log with a
deadline and answers the newest whole snapshot. The place where the newest two snapshots begin is remembered as the
committed offset of a group of its own, so that a load reads seconds of log instead of all of it; the pointer is a
hint: when what it points at holds no whole snapshot, the log is read from its beginning. It refuses to interpret a
snapshot's bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from typing import NamedTuple

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from access.security import OPEN, KafkaSecurity
from streams import snapshots, topics
from streams.errors import RestoreFailed
from streams.limits import ASK_S, HINT_TIMEOUT_S, HINT_WAITS_S, LOAD_POLL_S, POINTER_EVERY_S, RETRY_PAUSE_S
from streams.producer import Outgoing
from streams.snapshots import Part, Snapshot

log = structlog.get_logger(__name__)


class Loaded(NamedTuple):
    """What a load found: the newest whole snapshot, if there is one, and the keys of all parts that were seen."""

    snapshot: Snapshot | None
    keys: list[bytes]


class StateLog:
    """The state of one stage; one instance a process. `stage` names the topic tocsin.state.<stage>."""

    def __init__(
        self, bootstrap: str, application: str, stage: str, timeout_s: float, security: KafkaSecurity = OPEN
    ) -> None:
        self.topic = topics.STATE_PREFIX + stage
        self._group = f"{application}.state.{stage}"
        self._bootstrap, self._security = bootstrap, security
        self._timeout_s = timeout_s
        self._pointers: Consumer | None = None
        self._pointed: dict[int, float] = {}
        self._lock = threading.Lock()

    async def load(self, partition: int) -> Loaded:
        """The newest state of a partition. Raises RestoreFailed after the deadline."""
        return await asyncio.get_running_loop().run_in_executor(None, self._load, partition)

    def _load(self, partition: int) -> Loaded:
        deadline = time.monotonic() + self._timeout_s
        consumer = self._consumer()
        place = TopicPartition(self.topic, partition)
        try:
            low, high = self._bounds(consumer, place, deadline)
            hint = self._hint(consumer, place)
            start = hint if low <= hint < high else low
            found = self._read(consumer, partition, start, high, deadline)
            if found.snapshot is None and start > low:
                log.warning("state_pointer_missed", topic=self.topic, partition=partition, pointer=start, low=low)
                found = self._read(consumer, partition, low, high, deadline)
            return found
        finally:
            consumer.close()

    def _bounds(self, consumer: Consumer, place: TopicPartition, deadline: float) -> tuple[int, int]:
        """[low, high) of the log. A partition without a leader may have one in a moment: asked until the deadline.

        Each question is short, and a new one goes to whoever leads by then: librdkafka would wait for a leader that has just
        died for as long as it may, though another leads since seconds.
        """
        while True:
            try:
                low, high = consumer.get_watermark_offsets(place, timeout=ASK_S)
                return low, high
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise self._failed(place.partition, error.args[0].str()) from error
            with contextlib.suppress(KafkaException):
                consumer.list_topics(self.topic, timeout=ASK_S)
            time.sleep(RETRY_PAUSE_S)

    def _failed(self, partition: int, reason: str) -> RestoreFailed:
        return RestoreFailed(place=f"{self.topic}[{partition}]", reason=f"{reason} (within {self._timeout_s} s)")

    def _hint(self, consumer: Consumer, place: TopicPartition) -> int:
        """Where to begin; negative when nobody knows. A coordinator may be on the move just when a broker was lost."""
        for wait_s in (0.0, *HINT_WAITS_S):
            time.sleep(wait_s)
            try:
                return int(consumer.committed([place], timeout=HINT_TIMEOUT_S)[0].offset)
            except KafkaException as error:
                log.info(
                    "state_pointer_unknown", topic=self.topic, partition=place.partition, error=error.args[0].str()
                )
        return OFFSET_INVALID

    def _read(self, consumer: Consumer, partition: int, start: int, end: int, deadline: float) -> Loaded:
        """The newest of [start, end), and the keys there; a tombstone takes its key away."""
        parts: dict[bytes, Part | None] = {}
        if start < end:
            consumer.assign([TopicPartition(self.topic, partition, start)])
        at, trouble = start, ""
        while at < end:
            if time.monotonic() > deadline:
                raise self._failed(partition, f"at offset {at} of {end}{trouble}")
            message = consumer.poll(LOAD_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
                trouble = f", {error.str()}"  # librdkafka goes on by itself where that can help
                continue
            offset = int(message.offset() or 0)
            if error is not None:  # the end, where compaction or a control record left a hole before it
                at = max(at, offset)
                continue
            at = offset + 1
            value, key = message.value(), bytes(message.key() or b"")
            if value is None:
                parts.pop(key, None)
            else:
                parts[key] = snapshots.decode(value)
        whole = [part for part in parts.values() if part is not None]
        return Loaded(snapshots.newest(partition, whole), list(parts))

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
                **self._security.librdkafka(),
            },
            logger=logging.getLogger("librdkafka"),
        )

    def point(self, partition: int, offset: int) -> None:
        """Remember from where on a load must read. Never waits; what is lost only makes the next load longer."""
        now = time.monotonic()
        if now - self._pointed.get(partition, -POINTER_EVERY_S) < POINTER_EVERY_S:
            return
        self._pointed[partition] = now
        with self._lock:
            self._pointers = self._pointers or self._consumer()
        try:
            self._pointers.commit(offsets=[TopicPartition(self.topic, partition, offset)], asynchronous=True)
            self._pointers.poll(0)  # takes up the answers
        except KafkaException as error:
            log.warning("state_pointer_not_saved", topic=self.topic, partition=partition, error=str(error))

    def close(self) -> None:
        """Let go of the connection."""
        if self._pointers is not None:
            self._pointers.close()
            self._pointers = None


class Writer:
    """Writes the snapshots of one partition while this process owns it."""

    def __init__(self, topic: str, partition: int, epoch: int, number: int, inherited: list[bytes]) -> None:
        self.topic, self.partition, self.epoch = topic, partition, epoch
        self._writer = secrets.randbits(64)
        self._number = number
        self._inherited = inherited  # keys of other writers, to be deleted after the first own snapshot
        self._parts = [0] * snapshots.SLOTS  # parts that lie in each slot
        self._begin = -1  # offset where the newest own snapshot begins

    def records(self, fence: int, data: bytes, created_ms: int) -> list[Outgoing]:
        """The records of the next snapshot, in order."""
        self._number += 1
        snapshot = Snapshot(self.partition, self.epoch, fence, self._number, self._writer, created_ms, data)
        parts = snapshots.cut(snapshot)
        slot = self._number % snapshots.SLOTS
        surplus = range(len(parts), self._parts[slot])  # of a longer snapshot that lay in the slot
        self._inherited += [snapshots.part_key(self.partition, self._writer, slot, index) for index in surplus]
        self._parts[slot] = len(parts)
        return [Outgoing(self.topic, part.key, part.encode(), self.partition) for part in parts]

    def written(self, begin: int) -> tuple[list[Outgoing], int | None]:
        """Call when the snapshot that begins at offset `begin` is acknowledged.

        What is to be deleted now, and the offset from which on a load finds all that is left: where the snapshot
        before begins, since its slot lives on; None while there is only one.
        """
        stale, self._inherited = self._inherited, []
        before, self._begin = self._begin, begin
        tombstones = [Outgoing(self.topic, key, None, self.partition) for key in stale]
        return tombstones, before if before >= 0 else None
