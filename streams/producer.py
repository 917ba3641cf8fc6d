"""The delivery-checked producer: nothing counts as sent before the broker has acknowledged it.

What: confluent-kafka's producer (idempotent, acks=all) and a count of what is not yet acknowledged. Why: Faust's
flush before a commit gives up after 0.1 s and a failed changelog send is only logged (engines' traps 3 and 4). It
refuses to retry beyond librdkafka's own delivery timeout: then `settled` raises and the worker ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, Message
from confluent_kafka import Producer as Librdkafka

from streams.errors import DeliveryFailed
from streams.limits import FULL_POLL_S, LINGER_MS, MAX_RECORD_BYTES, POLL_S, QUEUE_KIB, QUEUE_RECORDS

ANY_PARTITION = -1  # librdkafka: let the partitioner decide


@dataclasses.dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to send. `partition` None lets the key decide (murmur2, as Java and Faust do)."""

    topic: str
    key: bytes | None
    value: bytes | None  # None is a tombstone
    partition: int | None = None


class Sent:
    """A set of records on their way."""

    def __init__(self) -> None:
        self.waiting = 0
        self.failed: list[str] = []
        self.first_offset = -1  # of the first record acknowledged; meaningful where all go to one partition

    def answered(self, error: KafkaError | None, message: Message) -> None:
        """Delivery report of one record."""
        self.waiting -= 1
        if self.first_offset < 0 and error is None:
            self.first_offset = message.offset() or 0
        if error is not None:
            self.failed.append(f"{message.topic()}[{message.partition()}]: {error.str()}")


class Producer:
    """Sends records and waits for all of them."""

    def __init__(self, bootstrap: str, delivery_timeout_s: float, client: str = "tocsin-worker") -> None:
        self.delivery_timeout_s = delivery_timeout_s
        self._producer = Librdkafka(
            {
                "bootstrap.servers": bootstrap,
                "client.id": client,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": LINGER_MS,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "message.max.bytes": MAX_RECORD_BYTES,
                "delivery.timeout.ms": int(delivery_timeout_s * 1000),
                "queue.buffering.max.messages": QUEUE_RECORDS,
                "queue.buffering.max.kbytes": QUEUE_KIB,
            }
        )

    def send(self, records: Iterable[Outgoing], sent: Sent | None = None) -> Sent:
        """Hand the records to librdkafka, in order. Raises DeliveryFailed when its bounded queue stays full."""
        sent = sent or Sent()
        for record in records:
            try:
                self._produce(record, sent)
            except BufferError:
                self._produce_when_free(record, sent)
        self._producer.poll(0)
        return sent

    def _produce_when_free(self, record: Outgoing, sent: Sent) -> None:
        deadline = time.monotonic() + self.delivery_timeout_s
        while time.monotonic() < deadline:
            self._producer.poll(FULL_POLL_S)
            try:
                return self._produce(record, sent)
            except BufferError:
                continue
        raise DeliveryFailed(reason=f"the producer's queue stayed full for {self.delivery_timeout_s} s")

    def _produce(self, record: Outgoing, sent: Sent) -> None:
        partition = ANY_PARTITION if record.partition is None else record.partition
        self._producer.produce(record.topic, record.value, record.key, partition, on_delivery=sent.answered)
        sent.waiting += 1

    async def settled(self, sent: Sent) -> None:
        """Wait until every record of the set is acknowledged. Raises DeliveryFailed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.delivery_timeout_s + 1.0
        while sent.waiting and not sent.failed:
            if loop.time() > deadline:
                raise DeliveryFailed(reason=f"{sent.waiting} records unacknowledged after {self.delivery_timeout_s} s")
            if not self._producer.poll(0):
                await asyncio.sleep(POLL_S)
        if sent.failed:
            raise DeliveryFailed(reason="; ".join(sent.failed[:3]))

    def flush(self, timeout_s: float) -> int:
        """Blocking flush, for the end of a process: records left."""
        return int(self._producer.flush(timeout_s))
