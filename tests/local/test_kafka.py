"""The embedded broker: real, alone on its port, found again, and back after a kill with everything in it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from local import kafka, process
from local.choice import Running
from local.errors import LocalError, PortInUse, ProcessDied
from local.kafka import EmbeddedBroker, metadata


def make_topic(bootstrap: str, name: str, partitions: int = 1) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap})  # must outlive its futures
    for future in client.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(30)


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    refused: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 8 << 20, "message.timeout.ms": 30_000})
    producer.produce(topic, value, on_delivery=lambda error, message: refused.append(error) if error else None)
    assert producer.flush(30) == 0
    assert not refused


def consume(bootstrap: str, topic: str, group: str) -> bytes:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 1000,
            "heartbeat.interval.ms": 300,
            "fetch.message.max.bytes": 8 << 20,
        }
    )
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        value = message.value()
        assert isinstance(value, bytes)
        return value
    finally:
        consumer.close()


def test_a_large_record_comes_back_through_a_group_with_a_short_session(
    bootstrap: str, unique: Callable[[str], str]
) -> None:
    topic = unique("large")
    make_topic(bootstrap, topic)
    large = bytes(7 << 20)
    produce(bootstrap, topic, large)
    begun = time.monotonic()
    assert consume(bootstrap, topic, unique("group")) == large
    assert time.monotonic() - begun < 10, "a first join must not wait for others"


def test_a_topic_that_nobody_made_does_not_appear(running_broker: Running, unique: Callable[[str], str]) -> None:
    if running_broker.kind == "given":
        pytest.skip("another's broker has its own rule")
    topic = unique("accident")
    client = AdminClient({"bootstrap.servers": running_broker.bootstrap})
    found = client.list_topics(topic, timeout=10).topics[topic]
    assert found.error is not None
    assert topic not in client.list_topics(timeout=10).topics


def test_a_killed_broker_comes_back_on_its_port_with_its_records(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    own = embedded_broker
    address, first = own.bootstrap, own.pid
    make_topic(address, "kept")
    produce(address, "kept", b"before")
    own.kill()
    assert not own.running
    assert metadata(address) is None
    own.start()
    assert (own.bootstrap, own.reused) == (address, False)
    assert own.pid != first
    assert consume(address, "kept", "readers") == b"before"

    other = EmbeddedBroker(tmp_path / "kafka").start()
    assert other.reused
    assert (other.pid, other.bootstrap) == (own.pid, address)
    with other:
        pass
    assert own.running, "who reuses a broker does not end it"

    settings = ConfigResource(ResourceType.BROKER, "1")
    client = AdminClient({"bootstrap.servers": address})
    described = client.describe_configs([settings])[settings].result(10)
    assert described["group.min.session.timeout.ms"].value == "1000"
    assert described["message.max.bytes"].value == str(8 << 20)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind((process.LOOPBACK, 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            EmbeddedBroker(tmp_path, port=port).start()


@pytest.mark.broker
def test_a_broker_that_dies_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "SETTINGS", kafka.SETTINGS + "log.retention.hours=never\n")
    with pytest.raises(ProcessDied, match=r"log\.retention\.hours"):
        EmbeddedBroker(tmp_path).start()


def test_nothing_is_known_of_a_broker_before_its_start(tmp_path: Path) -> None:
    own = EmbeddedBroker(tmp_path)
    assert not own.attach()
    assert not own.running
    with pytest.raises(RuntimeError, match="start"):
        _ = own.bootstrap
    own.stop()


def test_a_foreign_answer_on_the_port_is_not_our_broker(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(bootstrap.rpartition(":")[2])
    process.Identity(1, 1.0, "mark", (port, port), "another-cluster").save(tmp_path / "broker.json")
    assert not EmbeddedBroker(tmp_path).attach(), "that id is not ours"
    monkeypatch.setattr(process.Identity, "process", lambda self: self)
    assert not EmbeddedBroker(tmp_path).attach(), "that cluster is not ours"


def test_every_error_says_what_to_do() -> None:
    advice = ("again", "set ", "unset", "point", "choose", "end that", "wait", "log is", "use ")
    for error in LocalError.__subclasses__():
        assert any(word in (error.__doc__ or "").lower() for word in advice), error.__name__


def test_silence_is_no_metadata() -> None:
    assert metadata(f"127.0.0.1:{process.free_port()}") is None
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}).list_topics(timeout=0.2)
