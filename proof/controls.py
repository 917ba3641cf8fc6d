"""Controls: wrongs on purpose, each of which the oracle must see. One that it does not see fails the whole run.

What: `Control`, and those that need the running cluster: a leader that acknowledges alone and dies, an election that is
not clean, a consumer that commits before it processes and dies. `proof.falsified` has those in the books. Why: an oracle
that never said no proves nothing. It refuses to count a control as passed unless its kind of wrong was named.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # a re-export that is not declared

from demo.audit import compare
from demo.ledger import WINDOW_MS, Cell, Cells, add
from demo.wire import Identity
from proof.cluster import Cluster
from streams.topics import admin

TOPIC = "proof.control"
UNCLEAN = "proof.control.unclean"
FIRST = "proof.control.first"
RECORDS = 500
ANSWER_S = 20.0
MOVING = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE)
FLUSHES = 10
LOOK_S = 0.05
NUMBERED: Identity = ("number", "gauge", "1", "other", ())
FEW = 2  # records that the follower has


@dataclasses.dataclass(frozen=True, slots=True)
class Control:
    """A wrong, and what the oracle said of it."""

    name: str
    lost: int
    doubled: int
    must: bool = True  # False: measured, and nothing is expected of it

    @property
    def seen(self) -> bool:
        """Whether the oracle said no."""
        return bool(self.lost or self.doubled)

    @property
    def passed(self) -> bool:
        """Whether the run may stand beside it."""
        return self.seen or not self.must

    @property
    def said(self) -> str:
        """In words."""
        return "seen" if self.seen else "NOT SEEN" if self.must else "exact in this run"


def numbered(numbers: Iterable[int]) -> Cells:
    """Numbered records as books: of each number a measurement in a window of its own."""
    cells: Cells = {}
    for number in numbers:
        add(cells, (NUMBERED, number * WINDOW_MS), Cell(1, number, number, number, number + 1))
    return cells


def answer(name: str, truth: Cells, found: Cells, late: Cells) -> Control:
    """What the oracle says of books."""
    verdict = compare(truth, found, late, 0)
    return Control(name, verdict.lost, verdict.doubled + verdict.invented + verdict.altered)


def commit_first(bootstrap: str) -> Control:
    """A consumer that commits what it fetched, then processes it; it dies between the two, and another goes on."""
    made(bootstrap, FIRST, copies=3)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for number in range(RECORDS):
        producer.produce(FIRST, b"%d" % number)
    producer.flush(30)
    processed: list[int] = []
    for life in range(2):
        consumer = consumer_of(bootstrap)
        place = committed(consumer, [TopicPartition(FIRST, 0)])[0]
        consumer.assign([TopicPartition(FIRST, 0, max(0, place.offset))])
        while found := consumer.consume(RECORDS // 5, timeout=5):
            consumer.commit(message=found[-1], asynchronous=False)
            if life == 0 and processed:
                break  # dead, with a part committed and not processed
            processed += [int(message.value() or b"0") for message in found if message.error() is None]
            if len(processed) >= RECORDS or found[-1].offset() == RECORDS - 1:
                break
        consumer.close()
    return answer("commit before processing", numbered(range(RECORDS)), numbered(processed), {})


def acks_one(cluster: Cluster) -> Control:
    """Records that a leader acknowledged alone, while its follower was frozen; then the leader dies."""
    made(cluster.bootstrap, TOPIC, copies=2)
    leader, follower = places(cluster, TOPIC)
    sent = Acknowledged(cluster.bootstrap, TOPIC)
    sent.send(1)
    followed(cluster.bootstrap, TOPIC, 1)
    cluster.freeze(follower)
    try:
        sent.send(1)  # goes with the answer to the fetch that the follower had asked for, and lies there when it wakes
        sent.send(RECORDS, wait_s=0)
        for _ in range(FLUSHES):
            sent.wait(2)
            if len(sent.acknowledged) > FEW:  # a busy machine may take its time; what nobody acknowledged is not lost
                break
        cluster.kill(leader)
    finally:
        cluster.thaw(follower)
    return lost("acks=1, the leader killed", cluster, sent, leader)


def followed(bootstrap: str, topic: str, records: int) -> None:
    """Until the follower has so many and asks for the next: an earlier question of its own would be answered with all that comes.
    Raises TimeoutError."""
    deadline = time.monotonic() + ANSWER_S
    consumer = consumer_of(bootstrap)
    while time.monotonic() < deadline:
        with contextlib.suppress(KafkaException):
            if consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=ANSWER_S)[1] >= records:
                consumer.close()
                return
        time.sleep(LOOK_S)
    raise TimeoutError(f"the follower of {topic} has less than {records} records after {ANSWER_S:g} s")


def unclean(cluster: Cluster) -> Control:
    """Records that only the leader had, as its follower was down; it dies, and the follower may lead without them."""
    made(cluster.bootstrap, UNCLEAN, copies=2, **{"unclean.leader.election.enable": "true"})
    leader, follower = places(cluster, UNCLEAN)
    sent = Acknowledged(cluster.bootstrap, UNCLEAN)
    sent.send(1)
    cluster.stop(follower)
    sent.send(RECORDS)
    cluster.kill(leader)
    cluster.start(follower)
    return lost("acks=1, and a leader elected that was not in sync", cluster, sent, leader)


def lost(name: str, cluster: Cluster, sent: Acknowledged, leader: int) -> Control:
    """What of the acknowledged records is gone once another leads. Nobody starts the one that was killed."""
    while cluster.leader(sent.topic, 0) == leader:
        time.sleep(LOOK_S)
    found = (
        set(read_all(cluster.bootstrap, sent.topic)) & sent.acknowledged
    )  # others may lie there and were not promised
    return answer(name, numbered(sent.acknowledged), numbered(found), {})


class Acknowledged:
    """Numbers that were sent with acks=1, and those of them that were acknowledged."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.topic, self.acknowledged, self.sent = topic, set[int](), 0
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": 1, "linger.ms": 0})

    def send(self, count: int, wait_s: float = 10) -> None:
        """So many more."""

        def answered(error: object, message: Message) -> None:
            if error is None:
                self.acknowledged.add(int(message.value() or b"0"))

        for _ in range(count):
            self._producer.produce(self.topic, b"%d" % self.sent, on_delivery=answered)
            self.sent += 1
        self.wait(wait_s)

    def wait(self, seconds: float) -> None:
        """Until all are answered, so long at most."""
        self._producer.flush(seconds)


def places(cluster: Cluster, topic: str) -> tuple[int, int]:
    """Leader and follower of a topic of two copies."""
    leader = cluster.leader(topic, 0)
    place = admin(cluster.bootstrap).list_topics(topic, timeout=10).topics[topic].partitions[0]
    return leader, next(node for node in place.replicas if node != leader)


def made(bootstrap: str, topic: str, copies: int, **config: str) -> None:
    """A topic of one partition, whose writes need no second copy."""
    wanted = NewTopic(topic, 1, copies, config={"min.insync.replicas": "1", **config})
    client = admin(bootstrap)  # must outlive the answer
    client.create_topics([wanted])[topic].result(30)


def consumer_of(bootstrap: str) -> Consumer:
    """One that commits only when it is told to."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "proof-control",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )


def committed(consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
    """What its group committed. A coordinator may be on its way to another node: asked again. Raises KafkaException."""
    deadline = time.monotonic() + ANSWER_S
    while True:
        try:
            return consumer.committed(places, timeout=ANSWER_S)
        except KafkaException as error:
            if error.args[0].code() not in MOVING or time.monotonic() > deadline:
                raise


def read_all(bootstrap: str, topic: str) -> Iterable[int]:
    """Every number in a control's topic."""
    consumer = consumer_of(bootstrap)
    place, high = TopicPartition(topic, 0), None
    while high is None:
        with contextlib.suppress(KafkaException):  # the new leader is known before it leads
            place.offset, high = consumer.get_watermark_offsets(place, timeout=20)
    consumer.assign([place])
    read = place.offset
    while read < high:
        message = consumer.poll(5)
        if message is None:
            break
        if message.error() is None:
            read = (message.offset() or 0) + 1
            value = message.value() or b""
            if value.isdigit():
                yield int(value)
    consumer.close()
