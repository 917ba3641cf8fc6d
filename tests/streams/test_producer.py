"""The delivery-checked producer, on a real broker and on none."""

import asyncio
import os

import pytest

from streams import producer as module
from streams.errors import DeliveryFailed, OutputRefused
from streams.limits import MAX_RECORD_BYTES
from streams.producer import Outgoing, Producer, Sent
from tests.streams.broker import make_topic, read_all

NOWHERE = "127.0.0.1:9"


async def test_all_of_a_set_is_acknowledged_before_it_is_settled(bootstrap, unique):
    topic = make_topic(bootstrap, unique("sent"), 2)
    producer = Producer(bootstrap, 10.0)
    first = producer.send([Outgoing(topic, b"k", b"%d" % i, i % 2) for i in range(1_000)])
    second = producer.send([Outgoing(topic, None, None, 0)])
    await producer.settled(first)
    await producer.settled(second)
    assert (first.waiting, first.failed, first.first_offset) == (0, [], 0)
    assert second.first_offset == 500
    await producer.settled(Sent())  # an empty set is settled


async def test_an_unreachable_broker_fails_the_set_after_the_timeout(caplog, capfd):
    producer = Producer(NOWHERE, 1.0)
    sent = producer.send([Outgoing("topic", b"k", b"v", 0)])
    with pytest.raises(DeliveryFailed, match=r"topic|unacknowledged"):
        async with asyncio.timeout(10):
            await producer.settled(sent)
    assert any("Connection refused" in r.getMessage() for r in caplog.records if r.name == "librdkafka")
    assert "Connection refused" not in capfd.readouterr().err  # nothing past our own form of logs


async def test_a_record_that_the_broker_refuses_for_good_is_for_a_person(bootstrap, unique):
    topic = make_topic(bootstrap, unique("small"), 1, **{"max.message.bytes": "1000"})
    producer = Producer(bootstrap, 5.0)
    sent = producer.send([Outgoing(topic, b"k", os.urandom(10_000), 0)])
    with pytest.raises(OutputRefused, match=topic):
        await producer.settled(sent)


def in_halves(record: Outgoing, why: str) -> list[Outgoing]:
    half = len(record.value) // 2
    return [Outgoing(record.topic, record.key, part, 0) for part in (record.value[:half], record.value[half:])]


async def test_what_is_refused_leaves_in_another_form_and_its_neighbours_as_they_are(bootstrap, unique):
    """The batch as a whole is refused: what was small enough in it is sent again as it was."""
    topic = make_topic(bootstrap, unique("small"), 1, **{"max.message.bytes": "1000"})
    producer = Producer(bootstrap, 5.0, in_halves)
    large, small = os.urandom(3_000), [os.urandom(100) for _ in range(20)]
    sent = producer.send([Outgoing(topic, b"k", value, 0) for value in [*small[:10], large, *small[10:]]])
    await producer.settled(sent)
    found = [value for _, value in read_all(bootstrap, topic, 1)[0]]
    parts = [value for value in found if value not in small]
    assert sorted(value for value in found if value in small) == sorted(small)
    assert b"".join(parts) == large
    assert max(map(len, parts)) < 1_000
    await producer.settled(producer.send([Outgoing(topic, b"k", b"goes on", 0)]))


async def test_what_is_larger_than_any_record_may_be_needs_no_broker_to_be_refused(bootstrap, unique):
    topic = make_topic(bootstrap, unique("huge"), 1, **{"max.message.bytes": str(16 << 20)})
    producer = Producer(bootstrap, 5.0, in_halves)
    value = bytes(MAX_RECORD_BYTES + 1)
    await producer.settled(producer.send([Outgoing(topic, b"k", value, 0)]))
    assert [len(part) for _, part in read_all(bootstrap, topic, 1)[0]] == [
        MAX_RECORD_BYTES // 2,
        MAX_RECORD_BYTES // 2 + 1,
    ]


async def test_a_full_queue_is_waited_for_and_not_for_ever(bootstrap, unique, monkeypatch):
    topic = make_topic(bootstrap, unique("full"))
    monkeypatch.setattr(module, "QUEUE_RECORDS", 10)
    producer = Producer(bootstrap, 10.0)
    sent = producer.send(Outgoing(topic, b"k", b"v", 0) for _ in range(200))
    await producer.settled(sent)
    assert not sent.failed
    stuck = Producer(NOWHERE, 0.5)
    stuck.delivery_timeout_s = 0.2
    with pytest.raises(DeliveryFailed, match="queue"):
        stuck.send(Outgoing("topic", b"k", b"v", 0) for _ in range(200))
