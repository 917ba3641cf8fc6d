"""Clients that others wrote send to the gateway, and the numbers arrive exactly.

curl runs wherever it is installed; OpenTelemetry's Java SDK and its Collector in the tier `make foreign`. (OpenTelemetry's
Python SDK and Prometheus: tests/gateway.) What the gateway would give to Kafka is kept, and read by the platform's decoder.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import shutil
from pathlib import Path

import pytest

from bench import jvm
from gateway.accesslog import AccessLog
from gateway.door import Door, Route, anybody
from gateway.intake import Intake
from gateway.large import Large
from gateway.memory import Budget
from gateway.otlp import route as otlp
from gateway.telemetry import PATH, Telemetry
from local.process import free_port
from tests.fleet.reader import measurements
from tests.foreign import bring
from tests.gateway.making import BASE_MS, batch, listening, until
from tests.gateway.otlp.test_route import record
from tests.gateway.test_intake import Kept

CURL = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="needs curl: your system's package manager installs it")


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
async def base(kept):
    """http://host:port of a gateway."""
    intake, budget = Intake(kept), Budget(64 << 20)
    routes = {
        PATH: Route("POST", Telemetry(intake, budget, Large())),
        otlp.PATH: Route("POST", otlp.Metrics(intake, budget, Large()), refused=otlp.refused),
    }
    async with listening(Door(routes, anybody, AccessLog("none"))) as (host, port, _):
        yield f"http://{host}:{port}"


def found(kept, metric):
    return [m.value for m in measurements([value for _, value, _ in kept.records]) if m.metric == metric]


async def run(*words: str, given: bytes = b"", within_s: float = 120) -> tuple[int, str]:
    """Exit code and output of a program."""
    program = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(within_s):
            out, _ = await program.communicate(given)
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    return program.returncode or 0, out.decode()


async def curl(url: str, body: bytes, *words: str, kind: str = "application/json") -> tuple[int, dict]:
    """Status and answer."""
    code, out = await run(
        CURL or "", "--silent", "--show-error", "--noproxy", "*", "--data-binary", "@-", "--write-out", "\n%{http_code}",
        "--header", f"Content-Type: {kind}", *words, url, given=body,
    )  # fmt: skip
    assert code == 0, out
    text, _, status = out.rpartition("\n")
    return int(status), json.loads(text)


@needs_curl
async def test_curl_sends_json_and_batches(base, kept):
    rows = [{"metric": "door.open", "value": number, "time_ms": BASE_MS + number} for number in range(40)]
    text = json.dumps({"source": "door-1", "measurements": rows}).encode()
    assert await curl(base + PATH, text) == (
        200, {"stored": 1, "rejected": 0, "retry": 0, "verdicts": [{"status": "stored"}]},
    )  # fmt: skip
    assert found(kept, "door.open") == list(range(40))
    kind = "application/vnd.tocsin.batch"
    zipped = gzip.compress(batch(rows=1_000))
    assert (await curl(base + PATH, zipped, "--header", "Content-Encoding: gzip", kind=kind))[0] == 200
    chunked = await curl(
        base + PATH, batch(sequence=1, rows=4_000), "--header", "Transfer-Encoding: chunked", kind=kind
    )
    assert chunked[0] == 200
    waited = await curl(base + PATH, batch(sequence=2), "--header", "Expect: 100-continue", kind=kind)
    assert waited[1]["stored"] == 1
    assert sum(found(kept, "made.count")) == sum(range(0, 1_000, 2)) + sum(range(0, 4_000, 2)) + 0 + 2 + 4


@needs_curl
async def test_curl_is_told_what_is_wrong(base, kept):
    status, answer = await curl(base + PATH, b"{")
    assert (status, bool(answer)) == (400, True)
    status, answer = await curl(base + PATH, b'{"source": "a", "measurements": [{"metric": "m", "value": 1}]}')
    assert (status, answer["rejected"], "time_ms" in answer["verdicts"][0]["detail"]) == (200, 1, True)
    assert not kept.records


@needs_curl
async def test_curl_sends_otlp_as_json(base, kept):
    point = {"timeUnixNano": str(BASE_MS * 1_000_000), "startTimeUnixNano": "1", "asInt": "41"}
    metric = {"name": "hits", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    told = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
    assert await curl(base + otlp.PATH, json.dumps(told).encode()) == (200, {})
    assert found(kept, "hits") == [41.0]


def exact(kept, *, bounds: bool) -> None:
    """What `record` of the Python SDK's test and Emit.java record."""
    assert sum(found(kept, "orders")) == 2 * 30 + 7
    latency = found(kept, "latency")
    assert len(latency) == 40
    assert sum(latency) == pytest.approx(sum(range(40)))
    if bounds:
        assert sum(value <= 25 for value in latency) == 26, "exact at a bound"
    assert found(kept, "queue")[-1] == 3.0


@pytest.fixture(scope="module")
def emit(tmp_path_factory):
    """The words that run Emit.java."""
    path = jvm.compiled([Path(__file__).parent / "otel"], [bring.SDK], tmp_path_factory.mktemp("classes"))
    return jvm.command(path, 128, "Emit")


@bring.needs
@pytest.mark.foreign
@pytest.mark.parametrize("aggregation", ["explicit", "exponential"])
@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
async def test_opentelemetrys_java_sdk(base, kept, emit, temporality, aggregation):
    code, out = await run(*emit, base + otlp.PATH, temporality, aggregation)
    assert code == 0, out
    exact(kept, bounds=aggregation == "explicit")
    assert {key for key, _, _ in kept.records} == {b"shop-java"}


CONFIG = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{port}}}}}}}}}
exporters: {{otlphttp: {{endpoint: {base}, retry_on_failure: {{initial_interval: 100ms}}}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [otlphttp]}}}}
"""


@bring.needs
@pytest.mark.foreign
@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
async def test_opentelemetrys_collector(base, kept, tmp_path, temporality):
    """The Python SDK sends to it, and it to us, from a queue of its own."""
    if not bring.collector().is_file():
        pytest.skip(f"needs go, which builds the Collector: {bring.COMMAND}")
    port = free_port()
    (tmp_path / "config.yaml").write_text(CONFIG.format(port=port, base=base))
    program = await asyncio.create_subprocess_exec(
        str(bring.collector()), "--config", f"file:{tmp_path}/config.yaml",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await until(lambda: taken(port, program), 60)
        await asyncio.to_thread(record, f"http://127.0.0.1:{port}{otlp.PATH}", temporality, exponential=False)
        await until(lambda: sum(found(kept, "orders")) >= 2 * 30 + 7, 30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.terminate()
        await program.wait()
    exact(kept, bounds=True)


async def taken(port: int, program: asyncio.subprocess.Process) -> bool:
    """Whether it listens there."""
    assert program.returncode is None, (await program.stderr.read()).decode() if program.stderr else ""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
