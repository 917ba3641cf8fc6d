"""The whole gateway on a real broker: what was answered with 200 is in the topic, and nothing is said too early."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from gateway.parts import ONE, SEVERAL, joined
from gateway.server import running
from gateway.telemetry import PATH
from tests.gateway.making import BASE_MS, batch, send, settings, until
from tests.streams.broker import make_topic

ROOT = Path(__file__).resolve().parents[2]


def stored(bootstrap: str, topic: str, partitions: int) -> list[tuple[int, bytes, bytes, dict]]:
    """(partition, key, value, headers) of every record."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found, left = [], partitions
        while left:
            message = consumer.poll(10)
            assert message is not None
            if message.error() is None:
                found.append((message.partition(), message.key(), message.value(), dict(message.headers() or [])))
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF
                left -= 1
        return found
    finally:
        consumer.close()


async def ready(gateway) -> None:
    """Until /readyz says so."""

    async def now() -> bool:
        return (await send(f"{gateway.health_url}/readyz", None, method="GET")).status == 200

    await until(now)


async def test_every_accepted_record_is_stored_by_source(bootstrap, unique):
    topic = make_topic(bootstrap, unique("gateway"), 4)
    sources = [f"car-{number}" for number in range(20)]
    records = [batch(source, sequence) for sequence in range(3) for source in sources]
    async with running(settings(topic=topic), bootstrap) as gateway:
        await ready(gateway)
        url = gateway.url + PATH
        one = await send(url, records[0], ONE)
        assert one.json() == {"stored": 1, "rejected": 0, "retry": 0, "verdicts": [{"status": "stored"}]}
        many = await send(url, joined([*records, b"noise"]), SEVERAL)
        assert (many.status, many.json()["stored"], many.json()["rejected"]) == (200, len(records), 1)
        assert many.json()["verdicts"][0] == {"status": "duplicate"}
        text = json.dumps({"source": "web", "measurements": [{"metric": "m", "value": 1, "time_ms": BASE_MS}]})
        assert (await send(url, text.encode(), "application/json")).json()["stored"] == 1
        metrics = (await send(f"{gateway.health_url}/metrics", None, method="GET")).body.decode()
        assert 'tocsin_gateway_records_total{reason="framing",verdict="rejected"}' in metrics
        assert (await send(gateway.url + "/metrics", None, method="GET")).status == 404, "not for strangers"
    found = stored(bootstrap, topic, 4)
    assert sorted(value for _, key, value, _ in found if key != b"web") == sorted(records)
    assert {headers["tenant"] for *_, headers in found} == {b"default"}
    homes = {}
    for partition, key, _, _ in found:
        homes.setdefault(key, set()).add(partition)
    assert set(homes) == {source.encode() for source in [*sources, "web"]}
    assert all(len(partitions) == 1 for partitions in homes.values())
    assert len(set().union(*homes.values())) == 4


async def test_a_sources_partition_is_the_one_that_the_client_chooses(bootstrap, unique):
    from tocsin.kafka import KafkaTransport

    topic = make_topic(bootstrap, unique("gateway"), 7)
    transport = KafkaTransport(bootstrap, topic)
    results = []
    async with running(settings(topic=topic), bootstrap) as gateway:
        await ready(gateway)
        for number in range(10):
            data = batch(f"s{number}")
            assert (await send(gateway.url + PATH, data, ONE)).status == 200
            transport.send(f"s{number}".encode(), data, results.append)
    assert transport.flush(20) == 0
    assert results == [None] * 10
    homes = {}
    for partition, key, _, _ in stored(bootstrap, topic, 7):
        homes.setdefault(key, []).append(partition)
    assert all(len(partitions) == 2 and len(set(partitions)) == 1 for partitions in homes.values())


async def test_what_the_topic_will_never_take_is_a_verdict(bootstrap, unique):
    topic = make_topic(bootstrap, unique("gateway"), 1, **{"max.message.bytes": "2000"})
    async with running(settings(topic=topic), bootstrap) as gateway:
        await ready(gateway)
        big = await send(gateway.url + PATH, batch(rows=2_000), ONE)
        small = await send(gateway.url + PATH, batch(rows=2), ONE)
    assert big.json()["verdicts"][0]["reason"] == "size"
    assert small.json()["stored"] == 1
    assert len(stored(bootstrap, topic, 1)) == 1


async def test_without_a_topic_or_broker_everything_is_refused_at_once(bootstrap, unique):
    for where, topic in ((bootstrap, unique("none")), ("127.0.0.1:1", "telemetry")):
        async with running(settings(topic=topic), where) as gateway:
            async with asyncio.timeout(3):
                got = await send(gateway.url + PATH, batch(), ONE)
            assert (got.status, got.json()["error"], got.headers["Retry-After"]) == (503, "broker", "2")
            assert (await send(f"{gateway.health_url}/readyz", None, method="GET")).status == 503
            assert (await send(f"{gateway.health_url}/livez", None, method="GET")).status == 200


async def test_a_broker_that_goes_away_and_comes_back(embedded_broker, unique):
    topic = make_topic(embedded_broker.bootstrap, unique("gateway"), 1)
    async with running(settings(topic=topic), embedded_broker.bootstrap) as gateway:
        await ready(gateway)
        assert (await send(gateway.url + PATH, batch(sequence=0), ONE)).status == 200
        await asyncio.to_thread(embedded_broker.kill)
        loop = asyncio.get_running_loop()
        first = await send(gateway.url + PATH, batch(sequence=1), ONE)
        assert first.status == 503
        began = loop.time()
        later = [await send(gateway.url + PATH, batch(sequence=2), ONE) for _ in range(20)]
        assert {got.status for got in later} == {503}
        assert loop.time() - began < 10, "refused at once, not after a timeout each"
        assert gateway.budget.used == 0
        await asyncio.to_thread(embedded_broker.start)
        await ready(gateway)
        for sequence in (1, 2):
            got = await send(gateway.url + PATH, batch(sequence=sequence), ONE)
            assert got.json()["verdicts"] == [{"status": "stored"}]
    values = {value for _, _, value, _ in stored(embedded_broker.bootstrap, topic, 1)}
    assert values == {batch(sequence=sequence) for sequence in range(3)}, "each of them, whatever came twice"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_drains(bootstrap, unique, tmp_path, stop):
    """A request whose body is still coming at the signal is answered; the process ends with 0."""
    topic = make_topic(bootstrap, unique("gateway"), 1)
    env = {
        **os.environ, "TOCSIN_GATEWAY_PORT": "0", "TOCSIN_GATEWAY_HEALTH_PORT": "0", "TOCSIN_GATEWAY_TOPIC": topic,
        "TOCSIN_GATEWAY_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    process = started(env, bootstrap, tmp_path / "log")
    try:
        lines = await said(tmp_path / "log", "broker_there")
        url = next(line["url"] for line in lines if line["event"] == "gateway_listens")
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        data = batch()
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {ONE}\r\nContent-Length: {len(data)}\r\n"
        writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
        async with asyncio.timeout(20):
            await reader.readuntil(b"\r\n\r\n")  # it is under way
            process.send_signal(stop)
            await said(tmp_path / "log", "gateway_drains")
            writer.write(data)
            assert b"HTTP/1.1 200" in await reader.readuntil(b"\r\n\r\n")
            writer.close()
            assert await asyncio.to_thread(process.wait, 20) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
    assert len(stored(bootstrap, topic, 1)) == 1


async def test_a_spool_outlasts_brokers_and_kill_9(embedded_broker, unique, tmp_path):
    """Everything that was accepted is in the topic: before, while the broker was away, and after a gateway that was killed."""
    bootstrap = embedded_broker.bootstrap
    topic = make_topic(bootstrap, unique("gateway"), 2)
    env = {
        **os.environ, "TOCSIN_GATEWAY_PORT": "0", "TOCSIN_GATEWAY_HEALTH_PORT": "0", "TOCSIN_GATEWAY_TOPIC": topic,
        "TOCSIN_GATEWAY_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT), "TOCSIN_GATEWAY_SPOOL_DIR": str(tmp_path / "spool"),
        "TOCSIN_GATEWAY_DELIVERY_TIMEOUT_S": "2",
    }  # fmt: skip
    accepted: list[bytes] = []

    async def post(url: str, first: int, count: int, expected: int) -> None:
        for sequence in range(first, first + count):
            data = [batch(source, sequence) for source in ("car-1", "car-2", "car-3")]
            got = await send(url + PATH, joined(data), SEVERAL)
            assert got.status == expected, got.body
            accepted.extend(data)

    processes = []
    try:
        processes.append(started(env, bootstrap, tmp_path / "first"))
        lines = await said(tmp_path / "first", "broker_there")
        where = next(line for line in lines if line["event"] == "gateway_listens")
        await post(where["url"], 0, 5, 200)
        await asyncio.to_thread(embedded_broker.kill)
        await post(where["url"], 5, 20, 202)
        ready_there = (await send(f"{where['health']}/readyz", None, method="GET")).json()
        assert (ready_there["ready"], ready_there["spool"]["records"]) == (True, 60)
        processes[0].kill()
        processes[0].wait()
        processes.append(started(env, bootstrap, tmp_path / "second"))
        lines = await said(tmp_path / "second", "gateway_listens")
        assert next(line for line in lines if line["event"] == "spool_found")["records"] == 60
        where = next(line for line in lines if line["event"] == "gateway_listens")
        await post(where["url"], 25, 5, 202)
        await asyncio.to_thread(embedded_broker.start)

        async def drained() -> bool:
            told = (await send(f"{where['health']}/readyz", None, method="GET")).json()
            return told["broker"] == "there" and told["spool"]["records"] == 0

        await until(drained, 60)
        await post(where["url"], 30, 5, 200)
        processes[1].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(processes[1].wait, 30) == 0
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
    by_source: dict[bytes, list[bytes]] = {}
    for _, key, value, _ in stored(bootstrap, topic, 2):
        values = by_source.setdefault(key, [])
        if value not in values:  # a delivery whose end was unknown may be there twice, with the same ids
            values.append(value)
    for source in ("car-1", "car-2", "car-3"):
        assert by_source[source.encode()] == [batch(source, number) for number in range(35)], "each once, and in order"
    assert len(accepted) == 105


def started(env: dict[str, str], bootstrap: str, path: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "cli", "gateway", "--bootstrap", bootstrap]
    with path.open("wb") as log:
        return subprocess.Popen(command, env=env, cwd=ROOT, stderr=log, stdout=log)


async def said(path: Path, event: str) -> list[dict]:
    """The log's lines, once one of them has this event."""

    def there() -> bool:
        return any(line["event"] == event for line in lines_of(path))

    await until(there, 90)
    return lines_of(path)


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.startswith("{")]
