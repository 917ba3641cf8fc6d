"""A broker that refuses: said with who and what, nothing accepted lost, and on again by itself when it may be."""

from __future__ import annotations

import datetime as dt
import json
import logging
import shutil
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from tocsin import Client

from demo.wire import read_batch
from gateway.server import running
from gateway.telemetry import PATH
from streams import acls
from tests.gateway.making import batch, send, settings, until
from tests.gateway.test_certificate import NOW, Authority
from tests.secure.cluster import PARTITIONS, Cluster

EMITTER = acls.roles()["emitter"]
ROW = 100


def stored(bootstrap: str, source: str) -> list[float]:
    """Values of a source, each batch once, in the order of the log."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True})
    consumer.assign([TopicPartition("telemetry", partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    found, left = {}, PARTITIONS
    while left:
        message = consumer.poll(10)
        assert message is not None
        if message.error() is None and message.key() == source.encode():
            told = read_batch(message.value())
            found[told.boot, told.sequence] = told.value.tolist()
        elif message.error() is not None:
            assert message.error().code() == KafkaError._PARTITION_EOF
            left -= 1
    consumer.close()
    return [value for values in found.values() for value in values]


def emitting(secured: Cluster, options: dict[str, str], source: str, folder: Path, address: str = "") -> Client:
    """A client that keeps what it promised in a spool."""
    return Client(
        source=source, service="x", transport=f"kafka://{address or secured.sasl}", kafka=options, spool=str(folder / "spool"),
        flush_interval=0.05, catch_up_jitter=0.0, report=False,
    )  # fmt: skip


def recorded(client: Client, start: int) -> None:
    gauge = client.gauge("g")
    for value in range(start, start + ROW):
        gauge.set(float(value), value)
    assert client.commit(20)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tocsin.kafka" and record.levelno == 30]


async def heard(caplog: pytest.LogCaptureFixture, client: Client, word: str) -> str:
    """The warning, once it is there."""
    await until(lambda: bool(client.flush(0.1)) or any(word in text for text in warned(caplog)))
    (text,) = [text for text in warned(caplog) if word in text]
    return text


@pytest.fixture
def files(secured: Cluster, tmp_path: Path) -> dict[str, tuple[dict[str, str], str, Path, bytes, str]]:
    """By case: options, address, the file that is wrong, what it should hold, and what the warning says."""
    stranger = Authority(tmp_path, "stranger")
    secured.grant("User:files", EMITTER)
    options = secured.user("files")
    (tmp_path / "password").write_text("not it")
    (tmp_path / "ca.pem").write_bytes(stranger.path.read_bytes())
    by_file = {name: value for name, value in options.items() if name != "password"}
    secured.grant("User:CN=device-7", EMITTER)
    old, key = secured.authority.issue("device-7", ends=NOW - dt.timedelta(minutes=1))
    shutil.copy(old, tmp_path / "device.crt")
    shutil.copy(key, tmp_path / "device.key")
    fresh, key = secured.authority.issue("device-7")
    shutil.copy(key, tmp_path / "fresh.key")
    device = {"protocol": "ssl", "ca_file": str(secured.authority.path), "cert_file": str(tmp_path / "device.crt"),
              "key_file": str(tmp_path / "device.key")}  # fmt: skip
    return {
        "password": (by_file | {"password_file": str(tmp_path / "password")}, secured.sasl, tmp_path / "password",
                     options["password"].encode(), "_AUTHENTICATION"),
        "authority": (options | {"ca_file": str(tmp_path / "ca.pem")}, secured.sasl, tmp_path / "ca.pem",
                      secured.authority.path.read_bytes(), "_SSL"),
        "expired": (device, secured.mutual, tmp_path / "device.crt", fresh.read_bytes(), "_SSL"),
    }  # fmt: skip


@pytest.mark.parametrize("case", ["password", "authority", "expired"])
async def test_a_client_goes_on_when_a_file_is_put_right(secured, files, tmp_path, caplog, case):
    options, address, path, right, said = files[case]
    caplog.set_level(logging.WARNING, logger="tocsin.kafka")
    with emitting(secured, options, f"file-{case}", tmp_path, address) as client:
        recorded(client, 0)
        text = await heard(caplog, client, said)
        assert "User:files" in text or "device.crt" in text
        assert client.stats.spooled == ROW
        if case == "expired":
            (tmp_path / "fresh.key").replace(tmp_path / "device.key")
        (tmp_path / "right").write_bytes(right)
        (tmp_path / "right").replace(path)
        recorded(client, ROW)
        assert client.flush(30), client.stats
        assert client.stats.delivered == 2 * ROW
    assert stored(secured.plain, f"file-{case}") == [float(value) for value in range(2 * ROW)]


async def test_a_broker_of_another_name_is_refused_and_what_was_promised_is_kept(secured, tmp_path, caplog):
    secured.grant("User:named", EMITTER)
    options = secured.user("named")
    caplog.set_level(logging.WARNING, logger="tocsin.kafka")
    with emitting(secured, options, "named", tmp_path, secured.sasl_by_name) as client:
        recorded(client, 0)
        await heard(caplog, client, "_SSL")
    assert stored(secured.plain, "named") == []
    with emitting(secured, options, "named", tmp_path) as client:
        recorded(client, ROW)
        assert client.flush(30), client.stats
    assert stored(secured.plain, "named") == [float(value) for value in range(2 * ROW)]


async def test_a_grant_that_is_taken_away_in_the_middle_of_a_run_loses_nothing(secured, tmp_path, caplog):
    secured.grant("User:midway", EMITTER)
    caplog.set_level(logging.WARNING, logger="tocsin.kafka")
    with emitting(secured, secured.user("midway"), "midway", tmp_path) as client:
        recorded(client, 0)
        assert client.flush(30)
        secured.revoke("User:midway", EMITTER)
        recorded(client, ROW)
        text = await heard(caplog, client, "AUTHORIZATION_FAILED")
        assert "User:midway" in text
        assert "telemetry" in text
        assert client.stats.rejected == {}
        assert stored(secured.plain, "midway") == [float(value) for value in range(ROW)]
        secured.grant("User:midway", EMITTER)
        recorded(client, 2 * ROW)
        assert client.flush(30), client.stats
    assert stored(secured.plain, "midway") == [float(value) for value in range(3 * ROW)]


async def test_a_client_that_starts_before_it_is_granted_waits(secured, tmp_path, caplog):
    """Without Write there is no id for an idempotent producer: the end of one, and not of the client."""
    caplog.set_level(logging.WARNING, logger="tocsin.kafka")
    with emitting(secured, secured.user("early"), "early", tmp_path) as client:
        recorded(client, 0)
        assert "User:early" in await heard(caplog, client, "AUTHORIZATION_FAILED")
        await until(lambda: client.flush(0.1) or client.stats.retries > 3)
        secured.grant("User:early", EMITTER)
        recorded(client, ROW)
        assert client.flush(30), client.stats
    assert stored(secured.plain, "early") == [float(value) for value in range(2 * ROW)]


async def readyz(gateway) -> tuple[int, str]:
    found = await send(f"{gateway.health_url}/readyz", None, method="GET")
    return found.status, json.loads(found.body)["why"]


async def said(gateway, *words: str) -> None:
    """Until /readyz says all of them; with none, until it is ready."""

    async def now() -> bool:
        status, why = await readyz(gateway)
        return status == (503 if words else 200) and all(word in why for word in words)

    await until(now)


async def test_a_gateway_says_what_it_lacks_and_goes_on_when_it_has_it(secured, tmp_path):
    right = secured.user("gate")
    (tmp_path / "password").write_text("not it")
    options = {name: value for name, value in right.items() if name != "password"}
    options["password_file"] = str(tmp_path / "password")
    kafka = {f"kafka_{name}": value for name, value in options.items()}
    async with running(settings(**kafka), secured.sasl) as gateway:
        await said(gateway, "User:gate", "authentication")
        (tmp_path / "right").write_text(right["password"])
        (tmp_path / "right").replace(tmp_path / "password")
        await said(gateway, "User:gate", "topic telemetry (Write)", "tocsin acls")
        secured.grant("User:gate", acls.roles()["gateway"])
        await said(gateway)
        assert (await send(gateway.url + PATH, batch("gate", 0))).status == 200
        secured.revoke("User:gate", acls.roles()["gateway"])
        refused = await send(gateway.url + PATH, batch("gate", 1))
        assert (refused.status, "Retry-After" in refused.headers) == (503, True)
        assert b"User:gate" not in refused.body, "who we are to Kafka is nobody's business outside"
        await said(gateway, "User:gate", "topic telemetry (Write)")
        secured.grant("User:gate", acls.roles()["gateway"])
        await said(gateway)
        assert (await send(gateway.url + PATH, batch("gate", 1))).status == 200
        metrics = (await send(f"{gateway.health_url}/metrics", None, method="GET")).body.decode()
    for reason in ("authentication", "authorization"):
        assert f'tocsin_gateway_broker_refusals_total{{reason="{reason}"}}' in metrics
    assert right["password"] not in metrics
    assert len(stored(secured.plain, "gate")) == 10
