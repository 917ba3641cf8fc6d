"""What the pages tell other people's senders to do is done, word for word, against a real gateway on a real broker.

What: the blocks of send-over-http, use-opentelemetry and use-prometheus, with this gateway's address and key in the place of
the page's: environment variables go to a real SDK in a process of its own, shell blocks to a shell, files to Prometheus where
it is installed. What is read back is what lies in the topic. It refuses a block that no test here runs.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import json
import os
import shutil
import sys
import urllib.parse
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import cramjam
import pytest
import yaml

from gateway.keys import Made, made
from gateway.parts import SEVERAL, joined
from gateway.remotewrite.route import PATH as WRITE
from gateway.server import Gateway, running
from gateway.telemetry import PATH
from gateway.verdicts import are_logs
from schemas.logs import LOGS, LogRecord, read_logs
from tests.fleet.reader import measurements
from tests.foreign import promtool
from tests.gateway.making import batch, listening, send, settings, until
from tests.gateway.otlp.test_route import record
from tests.gateway.remotewrite.test_route import V1_TYPE, named, v1
from tests.gateway.test_server import ready, stored
from tests.pages import HOWTO, Block, block, fenced
from tests.streams.broker import make_topic

OVER_HTTP, OPENTELEMETRY, PROMETHEUS = (
    f"{HOWTO}/{name}.md" for name in ("send-over-http", "use-opentelemetry", "use-prometheus")
)
#: (page, language) -> how many blocks of it the tests below run.
RUN = {
    (OVER_HTTP, "json"): 3, (OVER_HTTP, "sh"): 2,
    (OPENTELEMETRY, "dotenv"): 2, (OPENTELEMETRY, "yaml"): 1,
    (PROMETHEUS, "yaml"): 1,
}  # fmt: skip
ADDRESS, KEY = "127.0.0.1:4318", "tck_shop_…"  # as the pages have them
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: your system's package manager has it")
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs prometheus: ops/scripts/debian-prometheus installs it (as root)"
)


@dataclasses.dataclass(frozen=True)
class Plant:
    """A gateway, the key that it knows, and what lies in the topics."""

    gateway: Gateway
    key: Made
    bootstrap: str
    topics: tuple[str, str]

    @property
    def address(self) -> str:
        return self.gateway.url.removeprefix("http://")

    def filled(self, one: Block) -> str:
        """The block with this gateway's address and, where it has one, the key."""
        return one.filled({ADDRESS: self.address} | ({KEY: self.key.text} if KEY in one.text else {}))

    def values(self) -> list[bytes]:
        return [value for topic in self.topics for _, _, value, _ in stored(self.bootstrap, topic, 1)]

    async def found(self, metric: str) -> list[float]:
        values = await asyncio.to_thread(self.values)
        return [m.value for m in measurements([v for v in values if not are_logs(v)]) if m.metric == metric]

    async def told(self) -> list[LogRecord]:
        values = await asyncio.to_thread(self.values)
        return [one for value in values if are_logs(value) for one in read_logs(LOGS, value, 10).records]


@contextlib.asynccontextmanager
async def planted(bootstrap: str, unique: Callable[[str], str], **changed: object) -> AsyncIterator[Plant]:
    topics = make_topic(bootstrap, unique("howto"), 1), make_topic(bootstrap, unique("howto-logs"), 1)
    async with running(settings(topic=topics[0], logs_topic=topics[1], **changed), bootstrap) as gateway:
        await ready(gateway)
        await until(lambda: not gateway.logs.away)
        yield Plant(gateway, made("shop"), bootstrap, topics)


@pytest.fixture
async def anybody(bootstrap, unique) -> AsyncIterator[Plant]:
    """A gateway that asks for no credentials."""
    async with planted(bootstrap, unique) as plant:
        yield plant


@pytest.fixture
async def keyed(bootstrap, unique, tmp_path: Path) -> AsyncIterator[Plant]:
    """A gateway that takes nothing without the key."""
    key, keys = made("shop"), tmp_path / "keys.yaml"
    keys.write_text(json.dumps({"keys": [{"id": "shop", "hash": key.hash, "tenant": "shop", "prefix": "shop-"}]}))
    async with planted(bootstrap, unique, keys_path=keys) as plant:
        yield dataclasses.replace(plant, key=key)


async def run(*words: str, cwd: Path, within_s: float = 60, **environment: str) -> str:
    """Output of a program that has to end well."""
    known = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    program = await asyncio.create_subprocess_exec(
        *words, cwd=cwd, env={**known, **environment}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(within_s):
            out, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert program.returncode == 0, out.decode()
    return out.decode()


def test_no_block_is_left_out():
    languages = ((page, one.language) for page in (OVER_HTTP, OPENTELEMETRY, PROMETHEUS) for one in fenced(page))
    assert collections.Counter(languages) == RUN


async def test_json_is_taken_as_the_page_has_it(anybody: Plant):
    texts = [block(OVER_HTTP, "json", number).text for number in range(2)]
    for text in texts:
        got = await send(anybody.gateway.url + PATH, text.encode(), "application/json")
        assert (got.status, got.json()["verdicts"]) == (200, [{"status": "stored"}])
    both = await send(anybody.gateway.url + PATH, f"[{','.join(texts)}]".encode(), "application/json")
    assert both.json()["verdicts"] == [{"status": "duplicate"}] * 2
    assert await anybody.found("page.load") == [812.5]
    assert [one.event for one in await anybody.told()] == ["payment.failed"]


async def test_the_answer_is_the_one_of_the_page(anybody: Plant):
    records = joined([batch(), batch(sequence=1, crc32=4)])
    got = (await send(anybody.gateway.url + PATH, records, SEVERAL)).json()
    page = json.loads(block(OVER_HTTP, "json", 2).text)
    assert got | {"verdicts": []} == page | {"verdicts": [], "retry": 0}
    assert got["verdicts"][0] == page["verdicts"][0]
    mine, told = got["verdicts"][1], page["verdicts"][1]
    assert (list(mine), mine["status"], mine["reason"]) == (list(told), told["status"], told["reason"])
    assert mine["detail"].startswith("the columns have the CRC-32 ")


@needs_curl
async def test_a_shell_sends_one_measurement(anybody: Plant, tmp_path: Path):
    out = await run("sh", "-euc", anybody.filled(block(OVER_HTTP, "sh")), cwd=tmp_path)
    assert json.loads(out)["stored"] == 1
    assert await anybody.found("door.open") == [1.0]


@needs_curl
async def test_a_shell_uploads_a_vehicles_records(anybody: Plant, tmp_path: Path):
    (tmp_path / "spool.batches").write_bytes(joined([batch(sequence=number) for number in range(3)]))
    out = await run("sh", "-euc", anybody.filled(block(OVER_HTTP, "sh", 1)), cwd=tmp_path)
    assert "Upload-Complete: ?1" in out
    assert len(await anybody.found("made.count")) == 3 * 3


#: What `opentelemetry-instrument` does before the service's own code, and a service.
SERVICE = """
import time
from opentelemetry import metrics
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger, get_logger_provider
from opentelemetry.sdk._configuration import _OTelSDKConfigurator

_OTelSDKConfigurator().configure()
orders = metrics.get_meter("cart").create_counter("orders")
for number in range(20):
    orders.add(number)
    if number == 9:
        assert metrics.get_meter_provider().force_flush()
get_logger("cart").emit(LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.ERROR, body="no bank"))
assert get_logger_provider().force_flush()
metrics.get_meter_provider().shutdown()
"""


async def test_an_sdk_is_set_up_by_nothing_but_its_environment(keyed: Plant, tmp_path: Path):
    lines = "".join(keyed.filled(block(OPENTELEMETRY, "dotenv", number)) for number in range(2)).splitlines()
    page = dict(line.split("=", 1) for line in lines)
    own = {
        "OTEL_SERVICE_NAME": "shop", "OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORTER": "none",
    }  # fmt: skip
    await run(sys.executable, "-c", SERVICE, cwd=tmp_path, **page, **own)
    assert await keyed.found("orders") == [sum(range(10)), sum(range(10, 20))]
    assert [one.body for one in await keyed.told()] == ["no bank"]
    assert all(key.startswith(b"shop-") for _, key, _, _ in stored(keyed.bootstrap, keyed.topics[0], 1))


async def test_a_collectors_exporter_is_pointed_at_the_gateway(keyed: Plant):
    """The Collector itself, with this very file: tests/foreign/clients_test.py, in `make foreign`."""
    config = yaml.safe_load(keyed.filled(block(OPENTELEMETRY, "yaml")))
    exporter = config["exporters"]["otlphttp"]
    assert {name: one["exporters"] for name, one in config["service"]["pipelines"].items()} == {
        "metrics": ["otlphttp"], "logs": ["otlphttp"],
    }  # fmt: skip
    await asyncio.to_thread(
        record, f"{exporter['endpoint']}/v1/metrics", "delta", exponential=False, headers=exporter["headers"]
    )
    assert sum(await keyed.found("orders")) == 2 * 30 + 7


async def test_remote_write_goes_where_prometheus_yml_says_and_with_its_key(keyed: Plant):
    (target,) = yaml.safe_load(keyed.filled(block(PROMETHEUS, "yaml")))["remote_write"]
    assert urllib.parse.urlsplit(target["url"]).path == WRITE
    body = bytes(cramjam.snappy.compress_raw(v1((named("temperature"), [(20.5, 1_700_000_000_000)]))))
    snappy = {"Content_Encoding": "snappy"}
    assert (await send(target["url"], body, V1_TYPE, **snappy)).status == 401
    bearer = f"Bearer {target['authorization']['credentials']}"
    assert (await send(target["url"], body, V1_TYPE, **snappy, Authorization=bearer)).status == 204
    assert await keyed.found("temperature") == [20.5]


@needs_prometheus
async def test_a_real_prometheus_reads_that_file(keyed: Plant, tmp_path: Path):
    """It scrapes a page of ours and writes what it saw; the numbers arrive."""
    pages = iter([f"hits_total {number}\nlevel {number}\n" for number in (10, 13, 13, 20)])
    shown: list[str] = []

    async def page(request):
        from aiohttp import web

        shown.append(next(pages, None) or shown[-1])
        return web.Response(text=f"# TYPE hits_total counter\n# TYPE level gauge\n{shown[-1]}")

    async with listening(page) as (host, port, _):
        config = yaml.safe_load(keyed.filled(block(PROMETHEUS, "yaml")))
        config["remote_write"][0]["queue_config"] = {
            "batch_send_deadline": "1s"
        }  # so that nobody waits for the default
        config["global"] = {"scrape_interval": "1s"}
        config["scrape_configs"] = [{"job_name": "shop", "static_configs": [{"targets": [f"{host}:{port}"]}]}]
        path = tmp_path / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        assert promtool.run("check", "config", str(path)).returncode == 0
        process = await asyncio.create_subprocess_exec(
            "prometheus", f"--config.file={path}", f"--storage.tsdb.path={tmp_path}/data",
            "--web.listen-address=127.0.0.1:0", stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await until(lambda: _is_last(keyed, "level", 20.0), 60)
        finally:
            process.terminate()
            await process.wait()
    assert sum(await keyed.found("hits_total")) == 10.0, "from 10 to 20"
    sources = {key for _, key, _, _ in stored(keyed.bootstrap, keyed.topics[0], 1)}
    assert sources == {f"shop-{host}:{port}".encode()}


async def _is_last(plant: Plant, metric: str, wanted: float) -> bool:
    return (await plant.found(metric))[-1:] == [wanted]
