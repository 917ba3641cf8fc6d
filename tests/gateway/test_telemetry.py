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
from gateway.limits import BODY_BYTES, JSON_BYTES, LARGE_BYTES
from gateway.memory import Budget
from gateway.parts import ONE, SEVERAL, joined
from gateway.telemetry import PATH, Telemetry
from gateway.verdicts import read
from schemas.framing import MAX_SCHEMA_ID, confluent
from tests.gateway.making import BASE_MS, batch, held_up, listening, send, until
from tests.gateway.test_intake import Kept


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def budget():
    return Budget(64 << 20)


@pytest.fixture
async def url(kept, budget, large):
    door = Door({PATH: Route("POST", Telemetry(Intake(kept), budget, large))}, anybody, AccessLog("none"))
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


@pytest.mark.parametrize("kind", [ONE, SEVERAL])
@pytest.mark.parametrize(
    ("framed", "why"),
    [
        pytest.param(confluent(1) + batch()[10:], ("unknown_schema", 1), id="an id of a registry"),
        pytest.param(confluent(MAX_SCHEMA_ID) + batch()[10:], ("unknown_schema", 1), id="an id of none"),
        pytest.param(confluent(1), ("unknown_schema", 1), id="no record"),
        pytest.param(confluent(1)[:4], ("framing", 0), id="a cut prefix"),
        pytest.param(b"\0", ("framing", 0), id="its first byte"),
    ],
)
async def test_confluents_framing_is_for_kafka_and_the_reason_says_so(url, kept, kind, framed, why):
    got = await send(url, framed if kind == ONE else joined([batch(), framed]), kind)
    assert (got.status, got.json()["rejected"]) == (200, 1)
    bad = got.json()["verdicts"][-1]
    assert (bad["reason"], bad["byte"]) == why
    assert "over HTTP send single-object encoding" in bad["detail"]
    assert [value for _, value, _ in kept.records] == ([] if kind == ONE else [batch()])


@pytest.mark.parametrize("kind", ["application/json", "text/plain;charset=UTF-8"])
async def test_json(url, kept, kind):
    one = {"metric": "page.load", "value": 1, "time_ms": BASE_MS}
    got = await send(url, json.dumps([{"source": "web", "measurements": [one]}, {"source": "web"}]).encode(), kind)
    assert [record["status"] for record in got.json()["verdicts"]] == ["stored", "rejected"]
    assert len(kept.records) == 1


def text_of(batches: int, source: str = "web") -> bytes:
    """So many batches as JSON; from some ten on it is a large body."""
    rows = [{"metric": "page.load", "value": row, "time_ms": BASE_MS + row} for row in range(50)]
    return json.dumps(
        [{"source": source, "boot": "b", "sequence": n, "measurements": rows} for n in range(batches)]
    ).encode()


async def test_a_large_json_body_is_the_same_as_small_ones_and_its_repeat_is_one(url, kept):
    body = text_of(40)
    assert len(body) > LARGE_BYTES
    verdicts = (await send(url, body, "application/json")).json()["verdicts"]
    assert verdicts == [{"status": "stored"}] * 40
    at_once = [value for _, value, _ in kept.records]
    kept.records.clear()
    assert [read(value).sequence for value in at_once] == list(range(40)), "in the order of the body"
    assert (await send(url, text_of(3), "application/json")).json()["verdicts"] == [{"status": "duplicate"}] * 3
    assert (await send(url, text_of(3, "other"), "application/json")).json()["stored"] == 3
    assert [read(value).sequence for _, value, _ in kept.records] == [0, 1, 2]


async def test_a_bad_batch_in_a_large_body_costs_itself_and_a_broken_body_is_told(url, kept):
    batches = json.loads(text_of(40))
    batches[7]["measurements"][3]["value"] = "x"
    got = (await send(url, json.dumps(batches).encode(), "application/json")).json()
    assert (got["stored"], got["rejected"]) == (39, 1)
    assert "measurements[3].value" in got["verdicts"][7]["detail"]
    broken = await send(url, text_of(40)[:-1], "application/json")
    assert (broken.status, broken.json()["error"]) == (400, "json")


async def test_others_are_answered_while_a_large_body_is_read(url, large):
    async with held_up(large):
        slow = asyncio.create_task(send(url, text_of(40), "application/json"))
        await until(large._beside._places.locked)
        assert (await send(url, batch(), ONE)).status == 200
        assert (await send(url, text_of(1, "small"), "application/json")).status == 200
        assert not slow.done()
    assert (await slow).json()["stored"] == 40


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
