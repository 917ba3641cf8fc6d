"""Kafka transport: settings that carry the promises, errors by their meaning, and delivery to a real broker."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tocsin import Client, InvalidOption, Rejected
from tocsin.kafka import FIXED, KafkaTransport, as_exception
from tocsin.transport import from_url

from demo.wire import read_batch


@pytest.mark.parametrize("setting", sorted(FIXED))
def test_what_the_promises_rest_on_cannot_be_changed(setting: str) -> None:
    with pytest.raises(InvalidOption, match=setting):
        KafkaTransport("localhost:1", config={setting: "other"})


def test_only_hopeless_errors_reject() -> None:
    assert isinstance(as_exception(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)), Rejected)
    assert isinstance(as_exception(KafkaError(KafkaError._MSG_TIMED_OUT)), ConnectionError)
    assert isinstance(as_exception(ValueError("x")), ConnectionError)


def test_urls_name_hosts_and_a_topic() -> None:
    made = from_url("kafka://a:1,b:2/other")
    assert isinstance(made, KafkaTransport)
    assert made.topic == "other"
    assert made._config["bootstrap.servers"] == "a:1,b:2"


def test_without_its_extra_it_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(InvalidOption, match=r"tocsin-client\[kafka\]"):
        Client(source="s", service="x", transport="kafka://a:1")


@pytest.fixture
def topic(bootstrap: str, unique: Callable[[str], str]) -> str:
    name = unique("telemetry")
    admin = AdminClient({"bootstrap.servers": bootstrap})  # named: its answers die with it
    for answer in admin.create_topics([NewTopic(name, 4, 1)]).values():
        answer.result(20)
    return name


def records(bootstrap: str, topic: str, count: int) -> list[tuple[int, bytes, bytes]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(4)])
    found: list[tuple[int, bytes, bytes]] = []
    for _ in range(100):
        for message in consumer.consume(500, 0.1):
            assert message.error() is None
            found.append((message.partition() or 0, bytes(message.key() or b""), bytes(message.value() or b"")))
        if len(found) >= count:
            break
    consumer.close()
    return found


def test_a_real_broker_gets_everything_in_order(bootstrap: str, topic: str) -> None:
    clients = [
        Client(source=f"s{i}", service="x", kind="web", transport=f"kafka://{bootstrap}/{topic}", batch_size=100)
        for i in range(3)
    ]
    for made in clients:
        gauge = made.gauge("g")
        for value in range(1_000):
            gauge.set(value, value)
    for made in clients:
        assert made.close(20)
        assert made.stats.delivered == 1_000
    found = records(bootstrap, topic, 30)
    for made in clients:
        mine = [(partition, read_batch(value)) for partition, key, value in found if key == made.source.encode()]
        assert len({partition for partition, _ in mine}) == 1, "one source, one partition"
        assert [batch.sequence for _, batch in mine] == list(range(len(mine)))
        assert [v for _, batch in mine for v in batch.value.tolist()] == [float(v) for v in range(1_000)]


def test_a_spool_is_emptied_into_a_real_broker(bootstrap: str, topic: str, tmp_path: Path) -> None:
    """Offline first: promised, and kept by the disk; the next run delivers it."""
    options = {"source": "s", "service": "x", "spool": str(tmp_path), "batch_size": 100, "catch_up_jitter": 0.0}
    away = Client(transport="kafka://127.0.0.1:1", **options)  # type: ignore[arg-type]
    gauge = away.gauge("g")
    for value in range(1_000):
        gauge.set(float(value), value)
    assert away.commit(20)
    assert away.close(0.2)
    assert (away.stats.given_up, away.stats.spooled) == (0, 1_000)
    with Client(transport=f"kafka://{bootstrap}/{topic}", **options) as back:  # type: ignore[arg-type]
        back.gauge("g").set(-1.0, 1)
        assert back.flush(30), back.stats
        assert back.stats.delivered == 1_001
    found = [read_batch(value) for _, _, value in records(bootstrap, topic, 11)]
    assert sorted(v for batch in found for v in batch.value.tolist()) == [-1.0, *map(float, range(1_000))]
    assert list(tmp_path.iterdir()) == []


def producers() -> int:
    """How many there are in this process."""
    return sum(type(found) is Producer for found in gc.get_objects())


def test_a_closed_client_leaves_no_producer_that_could_end_in_a_forked_child(bootstrap: str, topic: str) -> None:
    gc.collect()
    gc.disable()
    try:
        before = producers()
        with Client(source="s", service="x", kind="web", transport=f"kafka://{bootstrap}/{topic}") as made:
            made.gauge("g").set(1, 1)
            assert made.flush(20)
            assert producers() == before + 1
        assert producers() == before
    finally:
        gc.enable()


def test_a_forked_child_sends_on_its_own_connection(bootstrap: str, topic: str) -> None:
    made = Client(source="s", service="x", kind="web", transport=f"kafka://{bootstrap}/{topic}")
    gauge = made.gauge("g")
    gauge.set(1, 1)
    assert made.flush(20)
    child = os.fork()
    if child == 0:
        gauge.set(2, 2)
        os._exit(0 if made.flush(20) else 1)
    assert os.waitpid(child, 0)[1] == 0
    gauge.set(3, 3)
    assert made.close(20)
    batches = [read_batch(value) for _, _, value in records(bootstrap, topic, 3)]
    assert sorted((batch.sequence, batch.value.tolist()) for batch in batches) == [(0, [1.0]), (0, [2.0]), (1, [3.0])]
    assert len({batch.boot for batch in batches}) == 2
