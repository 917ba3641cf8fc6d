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

import aiohttp
import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from gateway.keys import made
from gateway.parts import ONE, SEVERAL, joined
from gateway.server import Gateway, running
from gateway.telemetry import PATH
from tests.gateway.making import BASE_MS, batch, send, settings, until
from tests.gateway.test_intake import Kept
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


@contextlib.asynccontextmanager
async def acknowledging(monkeypatch, watched=frozenset(), **changed):
    """A gateway whose Kafka acknowledges at once, and what it was given."""
    kept, gateway = Kept(), Gateway(settings(delivery_timeout_s=0.1, **changed), "127.0.0.1:1", watched)
    monkeypatch.setattr(gateway.delivery, "publish", kept.publish)
    await gateway.start()
    try:
        yield gateway, kept
    finally:
        await gateway.drain()


def keys_of(path, *tenants: str) -> dict[str, str]:
    """A file with one key a tenant; the header of each."""
    keys = {tenant: made(tenant) for tenant in tenants}
    entries = [f"  - {{id: {name}, hash: {key.hash}, tenant: {name}, prefix: {name}-}}\n" for name, key in keys.items()]
    path.write_text("keys:\n" + "".join(entries), encoding="utf-8")
    return {tenant: f"Bearer {key.text}" for tenant, key in keys.items()}


async def test_what_can_page_goes_first_when_memory_is_short(monkeypatch):
    """Through every door: what no SLO reads is put off, and what one reads is taken beside it."""
    async with acknowledging(monkeypatch, frozenset({"made.level"})) as (gateway, kept):
        gateway.budget.take(int(gateway.budget.most * 0.7), "somebody else")
        measurement = {"metric": "idle.count", "value": 1, "time_ms": BASE_MS}
        idle = json.dumps({"source": "web", "measurements": [measurement]}).encode()
        shed = await send(gateway.url + PATH, idle, "application/json")
        assert (shed.status, shed.json()["error"], shed.headers["Retry-After"]) == (503, "shed", "2")
        paging = await send(gateway.url + PATH, batch(), ONE)
        assert paging.json()["verdicts"] == [{"status": "stored"}]
        both = json.dumps(
            [json.loads(idle), {"source": "web", "measurements": [measurement | {"metric": "made.level"}]}]
        )
        got = await send(gateway.url + PATH, both.encode(), "application/json")
        assert [each["status"] for each in got.json()["verdicts"]] == ["retry", "stored"]
        assert got.headers["Retry-After"] == "2"
        assert len(kept.records) == 2
        gateway.budget.give_back(gateway.budget.used, "somebody else")


async def test_a_noisy_tenant_does_not_keep_a_quiet_one_out(monkeypatch, tmp_path):
    """One fills the memory with bodies that never end, as far as it may; another's request is answered all the same."""
    who = keys_of(tmp_path / "keys", "noisy", "quiet")
    go = asyncio.Event()

    async def endless():
        yield bytes(1 << 18)
        await go.wait()

    async with acknowledging(monkeypatch, keys_path=tmp_path / "keys", memory_mib=1) as (gateway, kept):
        url = gateway.url + PATH
        bodies = [asyncio.create_task(send(url, endless(), SEVERAL, Authorization=who["noisy"])) for _ in range(5)]
        await until(lambda: any(task.done() for task in bodies))
        refused = [task.result() for task in bodies if task.done()]
        assert {(got.status, got.json()["error"]) for got in refused} == {(503, "share")}
        assert len(refused) < len(bodies)
        assert gateway.budget.used > gateway.budget.most // 2
        quiet = await send(url, batch("quiet-1"), ONE, Authorization=who["quiet"])
        assert quiet.json()["stored"] == 1
        assert [dict(headers) for *_, headers in kept.records] == [{"tenant": b"quiet"}]
        go.set()
        assert {got.status for got in await asyncio.gather(*bodies)} == {413, 503}
        assert gateway.budget.used == 0


async def test_over_quota_is_429_before_the_body_is_read_and_only_for_that_tenant(monkeypatch, tmp_path):
    who = keys_of(tmp_path / "keys", "noisy", "quiet")
    limits = {"keys_path": tmp_path / "keys", "tenant_requests_s": 0.001, "quota_burst_s": 1.0}

    async def body():
        yield batch("noisy-1", 2)
        await asyncio.Event().wait()  # whoever reads it to its end waits for ever

    async with acknowledging(monkeypatch, **limits) as (gateway, kept):
        url = gateway.url + PATH
        for sequence in range(2):  # what the bucket had, and the debt that one request may make
            assert (await send(url, batch("noisy-1", sequence), ONE, Authorization=who["noisy"])).status == 200
        got = await send(url, body(), ONE, Authorization=who["noisy"])
        assert (got.status, got.json()["error"]) == (429, "quota")
        assert 900 <= int(got.headers["Retry-After"]) <= 1_001
        for path, kind in (("/v1/metrics", "application/x-protobuf"), ("/api/v1/write", "application/x-protobuf")):
            got = await send(gateway.url + path, b"", kind, Authorization=who["noisy"])
            assert (got.status, "Retry-After" in got.headers) == (429, True)
        assert (await send(url, batch("quiet-1"), ONE, Authorization=who["quiet"])).status == 200
        assert len(kept.records) == 3


async def test_a_gateway_that_drains_is_alive_and_not_ready(monkeypatch):
    """The balancer has its time to see it; until the door is closed, requests are answered."""
    async with acknowledging(monkeypatch, drain_wait_s=60.0) as (gateway, _):
        gateway.delivery.away = ""
        health = gateway.health_url
        assert (await send(f"{health}/readyz", None, method="GET")).status == 200
        waits, pass_by = asyncio.Event(), asyncio.Event()
        sleep = asyncio.sleep

        async def until_told(seconds: float) -> None:
            if seconds == 60.0:
                waits.set()
                await pass_by.wait()
            else:
                await sleep(seconds)

        monkeypatch.setattr(asyncio, "sleep", until_told)
        draining = asyncio.create_task(gateway.drain())
        await waits.wait()
        told = await send(f"{health}/readyz", None, method="GET")
        assert (told.status, "draining" in told.body.decode()) == (503, True)
        assert (await send(f"{health}/livez", None, method="GET")).status == 200
        assert "tocsin_gateway_draining 1.0" in (await send(f"{health}/metrics", None, method="GET")).body.decode()
        assert (await send(gateway.url + PATH, batch(), ONE)).status == 200
        pass_by.set()
        assert await draining == 0
        with pytest.raises(aiohttp.ClientConnectorError):
            await send(gateway.url + PATH, batch(), ONE)
        monkeypatch.setattr(gateway, "drain", lambda: sleep(0))


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
        rows = [{"metric": "m", "value": row, "time_ms": BASE_MS} for row in range(4_000)]
        large = json.dumps({"source": "web", "measurements": rows}).encode()
        assert (await send(url + PATH, large, "application/json")).json()["stored"] == 1
        beside = psutil.Process(process.pid).children()
        assert [each.cmdline()[-1] for each in beside] == ["gateway.beside"]
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
        assert not any(each.is_running() for each in beside)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
    assert len(stored(bootstrap, topic, 1)) == 2


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
