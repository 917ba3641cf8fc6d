"""Delivery: records to Kafka, and the wait until all in-sync replicas have them.

What: one idempotent librdkafka producer with acks=all, a thread that serves its reports, and a gate that is shut while
no broker answers; tenants share its queue as they share the memory. Why: 200 is a promise, so it needs the broker's word for
every record; and while brokers are away the refusal must cost nothing, or the retries of a fleet would fill the queue. It
refuses to keep anything for later: what is not acknowledged within the timeout is reported as failed, and the client, which
still has it, sends it again. After a refusal the producer is made anew when the files of its credentials have changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from access import refusals
from access.refusals import Ear
from access.security import OPEN, KafkaSecurity
from gateway import crash, selfmetrics
from gateway.limits import LINGER_MS, POLL_S, PROBE_S, QUEUE_RECORDS, SPARE_S
from gateway.memory import Budget, Share
from gateway.refusal import busy
from schemas.limits import RECORD_BYTES

log = structlog.get_logger(__name__)

#: Of the record and not of the moment: the same record can never succeed.
FOR_GOOD = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG})
#: The settings that the promise rests on.
FIXED: Mapping[str, object] = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}
BROKER: Final = "broker"  # the reason of a refusal for want of one
_FRAME_BYTES = 4_096  # key and headers of a record
_FULL: Final = ("queue", "the queue to Kafka is full at the moment")

Outgoing = tuple[bytes, bytes, Sequence[tuple[str, bytes]]]  # key, value, headers


def _tenant_of(record: Outgoing) -> str:
    """Whose it is, as its header says: a request has one tenant."""
    return dict(record[2]).get("tenant", b"").decode()


class _Ticket:
    """The reports of one request's records. Answered on the polling thread, awaited on the loop."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
        self.left = count
        self._lock = threading.Lock()
        self.for_good: dict[int, str] = {}  # place -> what the broker said
        self.failed: KafkaError | None = None
        self._loop, self._done = loop, done

    def answered(self, place: int, error: KafkaError | None, message: Message | None) -> None:
        """Delivery report of one record, or what librdkafka said when it was handed over."""
        with self._lock:
            self.left -= 1
            if error is not None and error.code() in FOR_GOOD:
                self.for_good[place] = error.str()
            elif error is not None:
                self.failed = error
            last = self.left == 0
        if last:
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


class Delivery:
    """Publishes to one topic. `config` adds librdkafka settings; those of FIXED stay."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        timeout_s: float,
        queue_bytes: int,
        config: Mapping[str, object] | None = None,
        security: KafkaSecurity = OPEN,
    ) -> None:
        self.topic = topic
        self.timeout_s = timeout_s
        self._queue = Budget(queue_bytes, _FULL)
        self._least_bytes = queue_bytes // QUEUE_RECORDS  # of a record, so that their number is shared too
        self._security = security
        self._ear = Ear(security.principal, lambda why: selfmetrics.BROKER_REFUSALS.labels(why).inc())
        self._config: dict[str, object] = {
            "client.id": "tocsin-gateway",
            "linger.ms": LINGER_MS,
            "compression.type": "lz4",
            "reconnect.backoff.max.ms": 1_000,
            **(config or {}),
            "bootstrap.servers": bootstrap,
            "message.max.bytes": RECORD_BYTES + _FRAME_BYTES,
            "delivery.timeout.ms": int(timeout_s * 1000),
            "queue.buffering.max.messages": QUEUE_RECORDS,
            "queue.buffering.max.kbytes": max(queue_bytes >> 9, 1),  # ours is full before: keys and headers count there
            "error_cb": self._broken,
            **FIXED,
        }
        self.away = "no broker has answered yet"  # why the gate is shut; empty when it is open
        self._unusable = ""  # why no other producer could be made
        self._producer = self._made()
        self._renew = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="delivery", daemon=True)
        self.on_change: Callable[[], None] = lambda: None
        self._reach = crash.points()

    def _made(self) -> Producer:
        """Files of secrets and certificates are read now. Raises OSError, ValueError, KafkaException."""
        files = self._security.files()
        config = {**self._config, **self._security.librdkafka()}
        made = Producer(config, logger=logging.getLogger("librdkafka"))
        self._files = files
        return made

    def start(self) -> None:
        """Serve reports, and ask for the broker until it answers."""
        self._thread.start()

    async def publish(self, records: Sequence[Outgoing]) -> dict[int, str]:
        """Wait until every record is acknowledged; those that the broker refuses for good, by place. Raises Refusal."""
        if not records:
            return {}
        if self.away:
            raise busy(BROKER, "no Kafka broker can be reached", 2)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        ticket = _Ticket(len(records), loop, done)
        with Share(self._queue, _tenant_of(records[0])) as share:
            # One request has room where there is nothing else, however large it is.
            share.grow(min(sum(max(len(value), self._least_bytes) for _, value, _ in records), self._queue.most // 2))
            self._hand_over(records, ticket)
            self._reach("before_ack")
            try:
                async with asyncio.timeout(self.timeout_s + SPARE_S):
                    await done
            except TimeoutError:
                self._shut("deliveries were not reported in time")
                raise busy(BROKER, "Kafka did not answer in time", 2) from None
        if ticket.failed is not None:
            self._failed(ticket.failed)
        self._reach("after_ack")
        return ticket.for_good

    def _hand_over(self, records: Sequence[Outgoing], ticket: _Ticket) -> None:
        producer = self._producer
        try:
            for place, (key, value, headers) in enumerate(records):
                report = functools.partial(ticket.answered, place)
                try:
                    producer.produce(self.topic, value, key, on_delivery=report, headers=list(headers))
                except KafkaException as error:
                    cause = error.args[0]
                    if cause.code() not in FOR_GOOD:
                        self._failed(cause)
                    report(cause, None)
        except BufferError:
            # Those before it may still arrive; the client sends all of them again, and the sequence tells them apart.
            raise busy(*_FULL) from None

    def _failed(self, error: KafkaError) -> None:
        """A delivery failed for now. Raises Refusal."""
        selfmetrics.DELIVERIES_FAILED.labels(error.name()).inc()
        if error.fatal():
            self._renew.set()
        if refusals.reason(error):
            self._ear(error, f"topic {self.topic} (Write)")
        self._shut(error.str())
        raise busy(BROKER, f"Kafka has not acknowledged: {error.name()}", 2)

    def _shut(self, why: str) -> None:
        why = self._ear.last or why
        if not self.away:
            log.warning("broker_away", why=why)
            self.away = why or "unknown"
            selfmetrics.BROKER_AWAY.labels(self.topic).set(1)

    def _broken(self, error: KafkaError) -> None:
        """Its own errors, on the polling thread. One broker of several that refuses us is no reason to shut the gate."""
        self._ear(error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  # librdkafka's name for it
            self._shut(error.str())

    def _serve(self) -> None:
        selfmetrics.BROKER_AWAY.labels(self.topic).set(1)
        while not self._ending.is_set():
            self._poll(POLL_S)
            if self._renew.is_set() and not len(self._producer):
                self._replace()
            if self.away:
                self._probe()
            selfmetrics.QUEUED.labels(self.topic).set(len(self._producer))

    def _poll(self, seconds: float) -> None:
        """Serve reports. An error that is the end of a producer is raised by librdkafka's Python face, not told."""
        try:
            self._producer.poll(seconds)
        except KafkaException as error:
            self._ear(error.args[0], f"topic {self.topic} (Write)")
            self._renew.set()
            self._shut(error.args[0].str())

    def _replace(self) -> None:
        """Another producer: with new credentials, or after an error that is the end of one."""
        self._renew.clear()
        self._unusable = ""
        try:
            self._producer = self._made()
        except (OSError, ValueError, KafkaException) as error:
            self._unusable = f"the files of the credentials cannot be used: {error}"

    def _probe(self) -> None:
        """Open the gate when a broker shows the topic. In between, reports are served."""
        before = self._ear.reason
        self._ear.forget()
        problem = self._asked()
        if problem:
            self._served_for(PROBE_S)
            self.away = self._unusable or self._ear.last or problem
            if self._ear.reason and self._ear.reason != before:
                log.warning("broker_refuses", reason=self._ear.reason, why=self.away)
            if self._security.files() != self._files:
                self._renew.set()  # they may hold what is right by now
            return
        log.info("broker_there", topic=self.topic)
        self._ear.forget()
        self.away = ""
        selfmetrics.BROKER_AWAY.labels(self.topic).set(0)

    def _served_for(self, seconds: float) -> None:
        """Serve reports for so long; a poll ends with the first."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._poll(left)

    def _asked(self) -> str:
        """What is wrong with the topic; "" when records can go to it."""
        try:
            found = self._producer.list_topics(self.topic, timeout=PROBE_S).topics[self.topic]
        except KafkaException as error:
            return str(error.args[0].str())
        if found.error:
            self._ear(found.error, f"topic {self.topic} (Write)")
            return str(found.error.str())
        if all(partition.leader < 0 for partition in found.partitions.values()):
            return "no partition of the topic has a leader"
        return ""

    def close(self, timeout_s: float) -> int:
        """End the thread and wait for what is on its way: records left. Blocking."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        with contextlib.suppress(KafkaException):  # the end of the producer, whose reports have been served
            self._producer.flush(timeout_s)
        return len(self._producer)
