"""The delivery-checked producer: nothing counts as sent before the broker has acknowledged it.

What: confluent-kafka's producer (idempotent, acks=all) and a count of what is not yet acknowledged. Why: Faust's
flush before a commit gives up after 0.1 s and a failed changelog send is only logged (engines' traps 3 and 4). It
refuses to retry beyond librdkafka's own delivery timeout: then `settled` raises and the worker ends. A record that the
broker refuses for good is sent once more by itself, and then in the form that `instead` gives: never dropped.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Librdkafka

from access import refusals
from access.refusals import Ear
from access.security import OPEN, KafkaSecurity
from streams import selfmetrics
from streams.errors import DeliveryFailed, OutputRefused
from streams.limits import FULL_POLL_S, LINGER_MS, MAX_RECORD_BYTES, POLL_S, QUEUE_KIB, QUEUE_RECORDS

ANY_PARTITION = -1  # librdkafka: let the partitioner decide
#: Of the record and not of the moment: too large for the topic (or, with others, its batch), or of a form it may not have.
FOR_GOOD = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD})


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
        self.waiting, self.principal = 0, "this worker"
        self.failed: list[str] = []
        self.refused: list[tuple[Outgoing, str]] = []  # for good, and why
        self.first_offset = -1  # of the first record acknowledged; meaningful where all go to one partition

    def answered(self, error: KafkaError | None, message: Message) -> None:
        """Delivery report of one record."""
        self.waiting -= 1
        if self.first_offset < 0 and error is None:
            self.first_offset = message.offset() or 0
        if error is not None and error.code() in FOR_GOOD:
            self.refused.append((outgoing(message), error.str()))
        elif error is not None:
            place = f"{message.topic()}[{message.partition()}]"
            self.failed.append(f"{place}: {refusals.told(error, self.principal, f'topic {message.topic()} (Write)')}")
            if why := refusals.reason(error):
                selfmetrics.refused(why)


def outgoing(message: Message) -> Outgoing:
    """The record of a delivery report."""
    key, value, partition = message.key(), message.value(), message.partition()
    return Outgoing(message.topic() or "", _octets(key), _octets(value), partition if partition is not None else None)


def _octets(found: bytes | str | None) -> bytes | None:
    return found.encode() if isinstance(found, str) else found


def nothing_instead(record: Outgoing, why: str) -> list[Outgoing]:
    """There is no other form. Raises OutputRefused."""
    raise OutputRefused(topic=record.topic, size=len(record.value or b""), reason=why)


class Producer:
    """Sends records and waits for all of them. `instead` knows other forms of a record that is refused for good."""

    def __init__(
        self,
        bootstrap: str,
        delivery_timeout_s: float,
        instead: Callable[[Outgoing, str], list[Outgoing]] = nothing_instead,
        client: str = "tocsin-worker",
        security: KafkaSecurity = OPEN,
    ) -> None:
        self.delivery_timeout_s = delivery_timeout_s
        self._ear = Ear(security.principal, selfmetrics.refused)
        self._instead = instead
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
                "error_cb": self._ear,
                **security.librdkafka(),
            },
            logger=logging.getLogger("librdkafka"),  # else it writes to standard error in a form of its own
        )

    def send(self, records: Iterable[Outgoing], sent: Sent | None = None) -> Sent:
        """Hand the records to librdkafka, in order. Raises DeliveryFailed when its bounded queue stays full."""
        sent = sent or Sent()
        sent.principal = self._ear.principal
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
        raise self._failed(f"the producer's queue stayed full for {self.delivery_timeout_s} s")

    def _produce(self, record: Outgoing, sent: Sent) -> None:
        partition = ANY_PARTITION if record.partition is None else record.partition
        try:
            self._producer.produce(record.topic, record.value, record.key, partition, on_delivery=sent.answered)
        except KafkaException as error:
            if error.args[0].code() not in FOR_GOOD:
                raise
            sent.refused.append((record, error.args[0].str()))  # larger than MAX_RECORD_BYTES: nobody was asked
            return
        sent.waiting += 1

    async def settled(self, sent: Sent) -> None:
        """Wait until every record of the set is acknowledged, in this form or another. Raises DeliveryFailed,
        OutputRefused."""
        await self._answered(sent)
        refused, sent.refused = sent.refused, []
        for record, _ in refused:
            await self._insist(record)

    async def _insist(self, record: Outgoing) -> None:
        """By itself first, since its neighbours in the batch may have been too much; then in another form."""
        alone = self.send([record])
        await self._answered(alone)
        for refused, why in alone.refused:
            for other in self._instead(refused, why):
                await self._insist(other)

    async def _answered(self, sent: Sent) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.delivery_timeout_s + 1.0
        while sent.waiting and not sent.failed:
            if loop.time() > deadline:
                raise self._failed(f"{sent.waiting} records unacknowledged after {self.delivery_timeout_s} s")
            if not self._producer.poll(0):
                await asyncio.sleep(POLL_S)
        if sent.failed:
            raise self._failed("; ".join(sent.failed[:3]))
        self._ear.forget()

    def _failed(self, reason: str) -> DeliveryFailed:
        """With what a broker said since the last delivery, which is why more often than not."""
        return DeliveryFailed(reason="; ".join(filter(None, (reason, self._ear.last))))

    def flush(self, timeout_s: float) -> int:
        """Blocking flush, for the end of a process: records left."""
        return int(self._producer.flush(timeout_s))
