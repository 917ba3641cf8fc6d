"""The route as HTTP: content types, encodings, limits, verdicts."""

from __future__ import annotations

import asyncio
import gzip
import json

import cramjam
import pytest

from gateway.accesslog import AccessLog
from gateway.door import Door, Route, anybody
from gateway.intake import Intake
from gateway.limits import BODY_BYTES, JSON_BYTES
from gateway.memory import Budget
from gateway.parts import ONE, SEVERAL, joined
from gateway.telemetry import PATH, Telemetry
from tests.gateway.making import BASE_MS, batch, listening, send
from tests.gateway.test_intake import Kept


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def budget():
    return Budget(64 << 20)


@pytest.fixture
async def url(kept, budget):
    door = Door({PATH: Route("POST", Telemetry(Intake(kept), budget))}, anybody, AccessLog("none"))
    async with listening(door, request_s=5) as (host, port, _):
        yield f"http://{host}:{port}{PATH}"


async def test_one_batch(url, kept, budget):
    got = await send(url, batch(), ONE)
    assert got.status == 200
    assert got.json() == {"stored": 1, "rejected": 0, "retry": 0, "verdicts": [{"status": "stored"}]}
    assert [value for _, value, _ in kept.records] == [batch()]
    assert (budget.used, budget.peak) == (0, len(batch()))


async def test_several_batches_of_which_one_is_bad(url, kept):
    records = [batch(sequence=0), batch(crc32=7), batch(sequence=2)]
    got = (await send(url, joined(records), SEVERAL)).json()
    assert (got["stored"], got["rejected"]) == (2, 1)
    bad = got["verdicts"][1]
    assert bad["reason"] == "crc"
    assert 0 < bad["byte"] < len(records[1])
    assert [value for _, value, _ in kept.records] == [records[0], records[2]]


@pytest.mark.parametrize("kind", ["application/json", "text/plain;charset=UTF-8"])
async def test_json(url, kept, kind):
    one = {"metric": "page.load", "value": 1, "time_ms": BASE_MS}
    got = await send(url, json.dumps([{"source": "web", "measurements": [one]}, {"source": "web"}]).encode(), kind)
    assert [record["status"] for record in got.json()["verdicts"]] == ["stored", "rejected"]
    assert len(kept.records) == 1


@pytest.mark.parametrize(
    ("encoding", "fold"), [("gzip", gzip.compress), ("zstd", lambda data: bytes(cramjam.zstd.compress(data)))]
)
async def test_compressed(url, kept, encoding, fold):
    got = await send(url, fold(joined([batch(sequence=n) for n in range(50)])), SEVERAL, Content_Encoding=encoding)
    assert got.json()["stored"] == len(kept.records) == 50


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status"),
    [
        (b"x", "application/octet-stream", {}, 415),
        (b"x", ONE, {"Content_Encoding": "br"}, 415),
        (b"x", ONE, {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(bytes(100 << 20)), ONE, {"Content_Encoding": "gzip"}, 413),
        (b"\0\0\0\7x", SEVERAL, {}, 400),
        (b"{", "application/json", {}, 400),
        (bytes(BODY_BYTES + 1), SEVERAL, {}, 413),
        (b" " * (JSON_BYTES + 1), "application/json", {}, 413),
    ],
    ids=["type", "encoding", "not gzip", "bomb", "lengths", "json", "length", "long json"],
)
async def test_bodies_that_are_refused_as_a_whole(url, kept, budget, body, kind, headers, status):
    got = await send(url, body, kind, **headers)
    assert got.status == status
    assert got.json()["error"]
    assert "Retry-After" not in got.headers
    assert not kept.records
    assert budget.used == 0


async def test_a_body_of_no_declared_length_is_bounded_too(url, budget):
    async def endless():
        while True:
            yield bytes(1 << 16)

    got = await send(url, endless(), SEVERAL)
    assert got.status == 413
    assert budget.used == 0


async def test_a_full_house_answers_at_once(url, budget, kept):
    budget.take(budget.most // 2, "one")
    budget.take(budget.most // 2, "other")
    got = await send(url, batch(), ONE)
    assert (got.status, got.headers["Retry-After"]) == (503, "1")
    assert not kept.records


async def test_another_path_or_method(url):
    assert (await send(url + "x", b"")).status == 404
    got = await send(url, None, method="PUT")
    assert (got.status, got.headers["Allow"]) == (405, "POST")


async def test_whoever_waits_for_100_is_told_to_go_on(url):
    host, _, port = url.removeprefix("http://").removesuffix(PATH).partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    data = batch()
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {ONE}\r\nContent-Length: {len(data)}\r\n".encode())
    writer.write(b"Expect: 100-continue\r\n\r\n")
    async with asyncio.timeout(10):
        assert b"100" in await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        assert b"200" in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_a_failure_of_ours_says_nothing_about_itself(url, kept):
    kept.error = RuntimeError("the password is hunter2")
    got = await send(url, batch(), ONE)
    assert got.status == 500
    assert b"hunter2" not in got.body
