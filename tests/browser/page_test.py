"""The page's script in a real Chromium, to a real gateway and broker: what the page did is what arrives, once.

The snippet and the key's entry are the blocks of docs/howto/instrument-a-web-page.md, with this gateway's address and key.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from gateway.keys import made
from gateway.server import Gateway, running
from gateway.verdicts import are_logs, read
from schemas.logs import LOGS, LogRecord, read_logs
from tests.gateway.making import settings, until
from tests.gateway.test_server import ready, stored
from tests.pages import HOWTO, block
from tests.streams.broker import make_topic

HOWTO_PAGE = f"{HOWTO}/instrument-a-web-page.md"
SNIPPET, KEYS = block(HOWTO_PAGE, "html"), block(HOWTO_PAGE, "yaml")
LABELS = {"service": "shop", "version": "2.4.0", "route": "/cart/{id}"}  # as the page's snippet has them


class Plant:
    """A gateway, a page of another origin, and what lies in the topics."""

    def __init__(self, gateway: Gateway, bootstrap: str, topics: tuple[str, str], page: str) -> None:
        self.gateway, self.page = gateway, page
        self._bootstrap, self._topics = bootstrap, topics

    def _records(self) -> list[bytes]:
        """Each once: a repeat has the same producer and number."""
        return [value for topic in self._topics for _, _, value, _ in stored(self._bootstrap, topic, 1)]

    async def sums(self) -> dict[str, tuple[int, float]]:
        """(measurements, sum) by metric, as a worker counts: each producer's batch once."""
        found: dict[str, tuple[int, float]] = {}
        seen = set()
        for value in await asyncio.to_thread(self._records):
            if are_logs(value):
                continue
            row = read(value)
            if (row.producer, row.sequence) in seen:
                continue
            seen.add((row.producer, row.sequence))
            for series, number in zip(row.series, row.value, strict=True):
                metric = row.definitions[int(series)].metric
                assert row.definitions[int(series)].labels == LABELS
                count, total = found.get(metric, (0, 0.0))
                found[metric] = (count + 1, total + float(number))
        return found

    async def errors(self) -> list[LogRecord]:
        found = {}
        for value in await asyncio.to_thread(self._records):
            if are_logs(value):
                batch = read_logs(LOGS, value, 10)
                found[batch.source, batch.boot, batch.sequence] = batch.records
        return [record for records in found.values() for record in records]

    async def counted(self, metric: str) -> float:
        return (await self.sums()).get(metric, (0, 0.0))[1]


@pytest.fixture
async def plant(bootstrap, unique, tmp_path: Path) -> AsyncIterator[Plant]:
    topics = make_topic(bootstrap, unique("pages"), 1), make_topic(bootstrap, unique("logs"), 1)
    site = web.Application()
    runner = web.AppRunner(site)
    key = made("shop-web")
    text = {"page": ""}

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=text["page"], content_type="text/html")

    site.router.add_get("/{path:.*}", page)
    await runner.setup()
    tcp = web.TCPSite(runner, "127.0.0.1", 0)
    await tcp.start()
    port = runner.addresses[0][1]
    origin = f"http://127.0.0.1:{port}"
    keys = tmp_path / "keys.yaml"
    hashes = re.findall(r"\b[0-9a-f]{64}\b", KEYS.text)
    keys.write_text(KEYS.filled({hashes[0]: key.hash, "https://shop.example": origin}), encoding="utf-8")
    async with running(settings(topic=topics[0], logs_topic=topics[1], keys_path=keys), bootstrap) as gateway:
        await ready(gateway)
        await until(lambda: not gateway.logs.away)
        snippet = SNIPPET.filled({"https://gateway.example": gateway.url, "tck_shop-web_…": key.text})
        text["page"] = f"<!doctype html><title>shop</title>\n{snippet}<h1>cart</h1>"
        yield Plant(gateway, bootstrap, topics, origin + "/cart/index.html?person=s3cret")
    await runner.cleanup()


async def test_loads_and_errors_of_a_page_of_another_origin(plant: Plant, chromium):
    page = await chromium.new_page()
    await page.goto(plant.page)
    for number in range(25):
        await page.evaluate(f"() => setTimeout(() => {{ throw new RangeError('s3cret {number}') }})")
    await page.evaluate("() => { Promise.reject('s3cret') }")
    await page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(e => e.name.includes('/v1/'))", timeout=20_000
    )
    await page.close(run_before_unload=False)
    await until(lambda: _is(plant, "page.errors", 26))
    sums = await plant.sums()
    assert sums["page.views"] == (1, 1.0)
    assert sums["page.load"][0] == sums["page.first_byte"][0] == 1
    assert 0 < sums["page.first_byte"][1] <= sums["page.load"][1] < 60_000
    errors = await plant.errors()
    assert len(errors) == 20, "counted all of them, told twenty"
    assert {error.attributes["type"] for error in errors} <= {"RangeError", "string"}
    assert {(error.severity, error.event, error.body) for error in errors} == {(17, "page.error", "")}
    assert {error.attributes["path"] for error in errors} == {"/cart/index.html"}
    assert "s3cret" not in str(errors)


async def test_a_tab_that_is_closed_at_once(plant: Plant, chromium):
    context = await chromium.new_context()
    for _ in range(3):
        page = await context.new_page()
        await page.goto(plant.page, wait_until="commit")
        await page.wait_for_selector("h1")
        await page.close(run_before_unload=False)
    await until(lambda: _is(plant, "page.views", 3))
    await context.close()


async def test_offline_and_online_again(plant: Plant, chromium):
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(plant.page)
    await context.set_offline(True)
    async with page.expect_event("requestfailed", timeout=60_000):
        await page.evaluate("() => { setTimeout(() => { throw new TypeError('x') }) }")
    assert await plant.counted("page.errors") == 0
    await context.set_offline(False)
    await until(lambda: _is(plant, "page.errors", 1))
    await page.close()
    assert (await plant.sums())["page.views"] == (1, 1.0), "nothing twice"
    await context.close()


async def test_a_page_of_an_origin_that_the_key_is_not_for(plant: Plant, chromium):
    page = await chromium.new_page()
    async with page.expect_event("requestfailed", lambda asked: "/v1/telemetry" in asked.url, timeout=60_000):
        await page.goto(plant.page.replace("//127.0.0.1", "//localhost"))
    assert await plant.sums() == {}


async def _is(plant: Plant, metric: str, wanted: float) -> bool:
    found = await plant.counted(metric)
    assert found <= wanted, f"{metric} counted twice"
    return found == wanted
