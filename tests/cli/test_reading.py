"""Reading: bounded, filtered and endless, against a log in memory and against a real broker."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from typer.testing import Result

from cli import reading
from cli.output import Stop
from cli.reading import KafkaLog, everything, fits, newest
from schemas import codec
from schemas.records import Command
from tests.cli.build import T0, FakeLog

Run = Callable[..., Result]


def commands(count: int) -> FakeLog:
    log = FakeLog()
    for number in range(count):
        record = Command(f"c{number}", "acknowledge", f"t{number}", "ada", T0, {})
        log.put("commands", record, f"key-{number}", T0 + number, partition=number % 2)
    return log


def test_newest_is_by_time_over_partitions() -> None:
    found, ends = newest(commands(9), "commands", 3)
    assert [message.timestamp_ms - T0 for message in found] == [6, 7, 8]
    assert ends == {0: 5, 1: 4}
    assert newest(commands(2), "commands", 0)[0] == []
    assert len(newest(commands(2), "commands", 10)[0]) == 2


def test_newest_with_a_text_looks_further_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [m.key for m in newest(commands(30), "commands", 2, "key-1")[0]] == [b"key-18", b"key-19"]
    monkeypatch.setattr(reading, "SCAN_RECORDS", 3)
    assert newest(commands(30), "commands", 2, "key-1")[0] == []


def test_fits() -> None:
    (message,) = newest(commands(1), "commands", 1)[0]
    assert fits(message, "")
    assert fits(message, "ey-0")
    assert not fits(message, "key-1")


@pytest.fixture
def topic(bootstrap: str, unique: Callable[[str], str]) -> Iterator[str]:
    """A topic of two partitions with thirty commands, the ninth key deleted."""
    name = unique("cli")
    client = AdminClient({"bootstrap.servers": bootstrap})
    client.create_topics([NewTopic(name, 2, 1)])[name].result(30)
    send(bootstrap, name, range(30))
    yield name
    client.delete_topics([name])[name].result(30)


def send(bootstrap: str, topic: str, numbers: Iterator[int] | range) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for number in numbers:
        record = Command(f"c{number}", "acknowledge", f"t{number}", "ada", T0, {})
        value = None if number == 9 else codec.encode(record)
        producer.produce(topic, value, f"key-{number}", partition=number % 2, timestamp=T0 + number)
    assert producer.flush(30) == 0


def test_a_real_log_is_read_to_its_end(bootstrap: str, topic: str) -> None:
    log = KafkaLog(bootstrap)
    try:
        assert log.bounds(topic) == {0: (0, 15), 1: (0, 15)}
        found = list(everything(log, topic))
        assert sorted(message.timestamp_ms - T0 for message in found) == list(range(30))
        assert [message.value for message in found].count(None) == 1
        again = [message.key for message in newest(log, topic, 4)[0]]
        assert again == [b"key-26", b"key-27", b"key-28", b"key-29"]
        with pytest.raises(Stop, match="there is no topic"):
            log.bounds("nothing-of-that-name")
    finally:
        log.close()


def test_following_a_real_log(bootstrap: str, topic: str) -> None:
    log = KafkaLog(bootstrap)
    later = threading.Timer(0.5, send, (bootstrap, topic, range(30, 34)))
    later.start()
    try:
        ends = {partition: high for partition, (_, high) in log.bounds(topic).items()}
        found = list(itertools.islice(log.read(topic, ends, None), 4))
        assert sorted(message.timestamp_ms - T0 for message in found) == [30, 31, 32, 33]
    finally:
        later.join()
        log.close()


def test_a_broker_that_is_not_there_is_said_to_be_so_in_time() -> None:
    log = KafkaLog("127.0.0.1:1", 0.3)
    began = time.monotonic()
    with pytest.raises(Stop, match="no broker answers") as stop:
        log.bounds("x")
    log.close()
    assert stop.value.code == 3
    assert time.monotonic() - began < 5


def test_the_commands_on_a_real_broker(run: Run, bootstrap: str, topic: str) -> None:
    found = run("tail", topic, "-n", "3", "--json", "--bootstrap", bootstrap)
    assert [json.loads(line)["value"]["target"] for line in found.stdout.splitlines()] == ["t27", "t28", "t29"]
    assert run("topics", "create", "--bootstrap", bootstrap).exit_code == 0
    assert json.loads(run("topics", "create", "--json", "--bootstrap", bootstrap).stdout)["created"] == []
    described = run("topics", "describe", "--json", "--bootstrap", bootstrap)
    assert [row["drift"] for row in json.loads(described.stdout) if row["name"] == "commands"] == [[]]
    assert run("slo", "--json", "--bootstrap", bootstrap).exit_code == 0
    assert run("explain", "zz", "--bootstrap", bootstrap).exit_code == 1
    missing = run("tail", "nothing-of-that-name", "--bootstrap", bootstrap)
    assert missing.exit_code == 2
    assert topic in missing.stderr


def test_the_doctor_on_a_real_broker_leaves_nothing_behind(run: Run, bootstrap: str) -> None:
    run("topics", "create", "--bootstrap", bootstrap)
    found = run("doctor", "--json", "--bootstrap", bootstrap)
    checks = {check["name"]: check for check in json.loads(found.stdout)}
    for name in ("settings", "SLOs", "port", "broker", "topics", "write", "clock"):
        assert checks[name]["status"] == "ok", checks[name]
    assert found.exit_code == 0
    left = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    assert not [name for name in left if name.startswith("tocsin.doctor.")]
