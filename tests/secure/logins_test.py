"""Every way in, for both kinds of clients: librdkafka's, and aiokafka's under Faust; and the settings of the page."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import KafkaException
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from access.environment import read
from gateway.settings import Settings as GatewaySettings
from streams import acls, credentials, topics
from streams.settings import Settings as WorkerSettings
from tests.gateway.making import until
from tests.gateway.test_certificate import Authority
from tests.secure.cluster import SESSION_MS, Cluster, security

ROOT = Path(__file__).resolve().parents[2]
WAYS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "endpoint", "file", "certificate")


def options(secured: Cluster, way: str, folder: Path) -> tuple[str, dict[str, str], str]:
    """Address, options and principal."""
    if way == "PLAIN":
        return secured.sasl, secured.options(mechanism="PLAIN", username="plain", password="word"), "User:plain"
    if way.startswith("SCRAM"):
        name = f"way-{way[-3:]}"
        return secured.sasl, secured.user(name, way), f"User:{name}"
    if way == "endpoint":
        secured.issuer.clients["svc"] = "s3cret"
        url = f"{secured.issuer.url}/token"
        found = secured.options(
            mechanism="OAUTHBEARER", token_url=url, client_id="svc", client_secret="s3cret", scope="k"
        )
        return secured.sasl, found, "User:svc"
    if way == "file":
        (folder / "token").write_text(secured.issuer.token("filed"))
        return secured.sasl, secured.options(mechanism="OAUTHBEARER", token_file=str(folder / "token")), "User:filed"
    certificate, key = secured.authority.issue("way")
    found = {"protocol": "ssl", "ca_file": str(secured.authority.path), "cert_file": str(certificate)}
    return secured.mutual, found | {"key_file": str(key)}, "User:CN=way"


@pytest.mark.parametrize("way", WAYS)
async def test_both_kinds_of_clients_come_in_and_see_what_they_may(secured, tmp_path, way):
    address, given, principal = options(secured, way, tmp_path)
    secured.grant(principal, acls.roles()["analyst"])
    found = security(given)
    seen = await asyncio.to_thread(topics.admin(address, found).list_topics, timeout=10)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, **credentials_to_aiokafka_auth(credentials.of(found)))
    await consumer.start()
    try:
        assert (
            await consumer.topics()
            == set(seen.topics)
            == {topic.name for topic in topics.TOPICS if acls.roles()["analyst"].allows("topic", topic.name, acls.READ)}
        )
    finally:
        await consumer.stop()
    if way == "endpoint":
        assert secured.issuer.asked[-1] == ("svc", "k")


@pytest.mark.parametrize(
    ("said", "wrong"),
    [("audience", {"aud": "others"}), ("issuer", {"iss": "https://others"})],
)
async def test_a_token_that_the_broker_does_not_take(secured, tmp_path, said, wrong):
    (tmp_path / "token").write_text(secured.issuer.token("wrong", **wrong))
    found = security(secured.options(mechanism="OAUTHBEARER", token_file=str(tmp_path / "token")))
    with pytest.raises(KafkaException):
        await asyncio.to_thread(topics.admin(secured.sasl, found).list_topics, timeout=2)


async def test_a_session_outlives_its_token(secured, tmp_path):
    """The broker ends a session with its token; both kinds of clients come with a new one by themselves."""
    address, given, principal = options(secured, "endpoint", tmp_path)
    secured.grant(principal, acls.roles()["analyst"])
    secured.issuer.lives_s = 6.0
    before = len(secured.issuer.asked)
    found = security(given)
    client = topics.admin(address, found)
    consumer = AIOKafkaConsumer(
        topics.ROLLUPS, bootstrap_servers=address, **credentials_to_aiokafka_auth(credentials.of(found))
    )
    await consumer.start()
    try:
        began = time.monotonic()

        async def both() -> bool:
            await consumer.getmany(timeout_ms=100)
            await asyncio.to_thread(client.list_topics, timeout=10)
            return len(secured.issuer.asked) >= before + 5 and time.monotonic() - began > 2 * SESSION_MS / 1000

        await until(both, 40.0)
    finally:
        await consumer.stop()
        secured.issuer.lives_s = 3_600.0


def test_the_settings_of_the_page_are_whole(monkeypatch, tmp_path):
    authority = Authority(tmp_path, "authority").path
    text = (ROOT / "docs/howto/secure-kafka.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL) if "KAFKA_PROTOCOL=" in block]
    assert len(blocks) == 2
    (tmp_path / "file").write_text("x")
    for block, kind in zip(blocks, (WorkerSettings, GatewaySettings), strict=True):
        with monkeypatch.context() as set_up:
            for line in block.splitlines():
                name, _, value = line.partition("=")
                file = authority if name.endswith("CA_FILE") else tmp_path / "file"
                set_up.setenv(name, str(file) if name.endswith("_FILE") else value)
            found = read(kind, "the page", {})
        assert found.kafka_protocol == "sasl_ssl"
        assert "sasl.mechanism" in found.librdkafka()
