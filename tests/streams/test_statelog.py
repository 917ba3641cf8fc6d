"""The state log on a real broker: found again, torn, handed over, pointed at, in time or not at all."""

import asyncio
import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams import statelog
from streams.errors import RestoreFailed
from streams.producer import Producer
from streams.statelog import StateLog, Writer
from tests.streams.broker import make_topic

BIG = bytes(range(256)) * 8_192  # 2 MiB: five parts


@pytest.fixture
def log(bootstrap, unique) -> StateLog:
    stage = unique("state")
    make_topic(bootstrap, f"tocsin.state.{stage}", 2, **{"cleanup.policy": "compact"})
    return StateLog(bootstrap, unique("app"), stage, 20.0)


class Owner:
    def __init__(self, log: StateLog, producer: Producer) -> None:
        self.log, self.producer = log, producer

    async def take_over(self, partition: int = 1):
        found, keys = await self.log.load(partition)
        self.writer = Writer(
            self.log.topic, partition, found.epoch + 1 if found else 0, found.number if found else 0, keys
        )
        return found

    async def write(self, fence: int, data: bytes, torn: bool = False) -> None:
        records = self.writer.records(fence, data, 1)
        sent = self.producer.send(records[:-1] if torn else records)
        await self.producer.settled(sent)
        if not torn:
            stale, readable_from = self.writer.written(sent.first_offset)
            await self.producer.settled(self.producer.send(stale))
            if readable_from is not None:
                self.log.point(1, readable_from)


async def test_states_are_handed_over_and_a_torn_one_is_not_there(log, bootstrap):
    producer = Producer(bootstrap, 10.0)
    first, second, third = (Owner(log, producer) for _ in range(3))
    assert await first.take_over() is None
    await first.write(10, BIG)
    await first.write(20, b"small")
    await first.write(30, BIG, torn=True)
    found = await second.take_over()
    assert (found.fence, found.data, found.epoch) == (20, b"small", 0)
    await second.write(25, BIG)
    await first.write(99, b"zombie")
    found = await third.take_over()
    assert (found.fence, found.data, found.epoch) == (25, BIG, 1)
    assert (await log.load(0)).snapshot is None


async def test_the_pointer_spares_the_old_log_and_a_wrong_one_costs_only_time(log, bootstrap, monkeypatch):
    monkeypatch.setattr(statelog, "POINTER_EVERY_S", 0.0)
    owner = Owner(log, Producer(bootstrap, 10.0))
    await owner.take_over()
    for fence in range(30):
        await owner.write(fence, b"%d" % fence)
    deadline = time.monotonic() + 10
    while pointer(log) != 28 and time.monotonic() < deadline:  # noqa: ASYNC110  # the commit is not waited for
        await asyncio.sleep(0.05)
    assert pointer(log) == 28
    loaded = await log.load(1)
    assert (loaded.snapshot.fence, len(loaded.keys)) == (29, 2)
    log._pointers.commit(offsets=[TopicPartition(log.topic, 1, 29)], asynchronous=False)
    consumer = log._consumer()
    assert log._read(consumer, 1, 30, 30, time.monotonic() + 5).snapshot is None  # the case behind the full reading
    consumer.close()
    assert (await log.load(1)).snapshot.fence == 29
    log.close()


def pointer(log: StateLog) -> int:
    consumer = log._consumer()
    try:
        return consumer.committed([TopicPartition(log.topic, 1)], timeout=10)[0].offset
    finally:
        consumer.close()


async def test_a_pointer_behind_which_no_whole_snapshot_lies_falls_back_to_all(log, bootstrap):
    owner = Owner(log, Producer(bootstrap, 10.0))
    await owner.take_over()
    await owner.write(1, b"whole")
    await owner.write(2, BIG, torn=True)
    consumer = log._consumer()
    consumer.commit(offsets=[TopicPartition(log.topic, 1, 2)], asynchronous=False)
    consumer.close()
    assert (await log.load(1)).snapshot.data == b"whole"


async def test_a_partition_without_a_leader_is_asked_again(log, bootstrap):
    owner = Owner(log, Producer(bootstrap, 10.0))
    await owner.take_over()
    await owner.write(1, b"state")
    asked = []

    class Moving:
        """A consumer whose partition is on the move at first."""

        def __init__(self, plain) -> None:
            self.plain = plain

        def get_watermark_offsets(self, place, timeout):
            asked.append(timeout)
            if len(asked) < 3:
                raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))
            return self.plain.get_watermark_offsets(place, timeout=timeout)

        def __getattr__(self, name):
            return getattr(self.plain, name)

    plain = log._consumer
    log._consumer = lambda: Moving(plain())
    assert (await log.load(1)).snapshot.data == b"state"
    assert len(asked) == 3


async def test_no_broker_and_no_time_end_a_load(log, bootstrap):
    owner = Owner(log, Producer(bootstrap, 10.0))
    await owner.take_over()
    await owner.write(1, BIG)
    log._timeout_s = 5.0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "late"})
    with pytest.raises(RestoreFailed, match="at offset 0 of 5"):
        log._read(consumer, 1, 0, 5, time.monotonic() - 1)
    consumer.close()
    nowhere = StateLog("127.0.0.1:9", "app", "stage", 0.5)
    with pytest.raises(RestoreFailed, match="could not be loaded"):
        await nowhere.load(0)


class Silent:
    """A consumer whose partition was led by a broker that is gone: a question waits as long as it may, and only one that is
    asked after a look at who leads now is answered."""

    def __init__(self, goes_on: bool = False) -> None:
        self.waited_s, self.knows, self.goes_on = 0.0, False, goes_on

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        if self.knows:
            return 3, 17
        self.waited_s += timeout
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def list_topics(self, topic: str, timeout: float) -> None:
        if self.goes_on:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        self.knows = True


def test_a_question_to_a_leader_that_died_is_not_waited_for_until_the_deadline():
    consumer, log = Silent(), StateLog("nowhere:1", "app", "merge", 60.0)
    assert log._bounds(consumer, TopicPartition(log.topic, 1), time.monotonic() + 60.0) == (3, 17)
    assert consumer.waited_s <= 2.0


def test_a_leader_that_nobody_knows_is_asked_for_until_the_deadline(monkeypatch):
    monkeypatch.setattr(statelog, "ASK_S", 0.05)
    log = StateLog("nowhere:1", "app", "merge", 0.2)
    with pytest.raises(RestoreFailed, match=r"tocsin\.state\.merge\[1\].*within 0\.2 s"):
        log._bounds(Silent(goes_on=True), TopicPartition(log.topic, 1), time.monotonic() + 0.2)
