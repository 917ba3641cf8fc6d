"""Log records from a client, over Kafka and over a gateway, to what on-call reads: each once, in order, with its severity."""

from __future__ import annotations

import asyncio
import json

import pytest
from tocsin import Client
from typer.testing import CliRunner

from cli.main import app
from gateway.server import running
from gateway.telemetry import PATH
from streams import topics
from tests.gateway.making import BASE_MS, send, settings, until
from tests.gateway.test_server import ready


@pytest.fixture
def all_topics(bootstrap: str) -> str:
    topics.ensure(bootstrap, 4)
    return bootstrap


def shown(bootstrap: str, *arguments: str) -> list[dict]:
    found = CliRunner().invoke(app, ["logs", "--bootstrap", bootstrap, "--json", *arguments], catch_exceptions=False)
    return [json.loads(line) for line in found.stdout.splitlines()]


async def test_both_ways_and_a_repeat(all_topics, unique, tmp_path):
    service = unique("shop")
    over_kafka = Client(source="k", service=service, version="1", transport=f"kafka://{all_topics}")
    for number in range(50):
        over_kafka.log(f"kafka {number}", severity="warn" if number % 2 else "debug", number=number)
    assert await asyncio.to_thread(over_kafka.close, 20)
    async with running(settings(topic="telemetry"), all_topics) as gateway:
        await ready(gateway)
        await until(lambda: not gateway.logs.away)
        over_http = Client(source="h", service=service, version="2", transport=gateway.url, spool=str(tmp_path))
        over_http.event("order.paid", amount=5)
        over_http.counter("c").add(1)
        assert await asyncio.to_thread(over_http.close, 20)
        record = {"time_ms": BASE_MS, "severity": "error", "body": "from a page"}
        batch = {"source": "p", "boot": "b", "sequence": 7, "resource": {"service": service}, "records": [record]}
        one = json.dumps(batch).encode()
        assert (await send(gateway.url + PATH, one, "application/json")).json()["stored"] == 1
    async with running(settings(topic="telemetry"), all_topics) as another:  # that knows nothing of the first's repeats
        await ready(another)
        await until(lambda: not another.logs.away)
        assert (await send(another.url + PATH, one, "application/json")).json()["stored"] == 1
    found = await asyncio.to_thread(shown, all_topics, "--service", service)
    assert [line["body"] for line in found if line["source"] == "k"] == [f"kafka {number}" for number in range(50)]
    assert [(line["event"], line["attributes"]) for line in found if line["source"] == "h"] == [
        ("order.paid", {"amount": "5"})
    ]
    assert [line["body"] for line in found if line["source"] == "p"] == ["from a page"], "sent twice, shown once"
    loud = await asyncio.to_thread(shown, all_topics, "--service", service, "--severity", "warn")
    assert len(loud) == 25 + 1
