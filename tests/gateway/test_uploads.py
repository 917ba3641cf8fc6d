"""Uploads: whatever is cut where, each record is taken, and what the offset covers is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from gateway.accesslog import AccessLog
from gateway.door import Door, Route
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.memory import Budget
from gateway.parts import joined
from gateway.quotas import Quotas, Rates
from gateway.refusal import busy
from gateway.uploads import APPEND, EACH, PATH, Upload, Uploads
from tests.gateway.making import BASE_MS, batch, listening, send, until
from tests.gateway.test_intake import Kept

FLEET = Identity("k", "fleet", prefix="")


class Yard:
    """A listening gateway with uploads alone; `who` is in."""

    def __init__(self, **made):
        self.kept, self.budget, self.who = Kept(), Budget(1 << 25), FLEET
        self.uploads = Uploads(Intake(self.kept, **made), self.budget)
        routes = {
            PATH: Route("POST", self.uploads.begin),
            EACH: Route("PATCH", self.uploads.use, also=("HEAD", "DELETE")),
        }

        async def who(request):
            return self.who

        self.door = Door(routes, who, AccessLog("none"))

    async def begin(self) -> str:
        got = await send(self.url + PATH, None)
        assert (got.status, got.headers["Upload-Offset"], got.headers["Upload-Complete"]) == (201, "0", "?0")
        assert "max-append-size" in got.headers["Upload-Limit"]
        return got.headers["Location"]

    async def append(self, where: str, offset: int, data: bytes, complete: str = "?1", **more: str):
        return await send(
            self.url + where, data, APPEND, "PATCH",
            **{"Upload_Offset": str(offset), "Upload_Complete": complete} | more,
        )  # fmt: skip

    async def offset(self, where: str) -> tuple[int, str]:
        got = await send(self.url + where, None, method="HEAD")
        assert got.status == 204, got.status
        return int(got.headers["Upload-Offset"]), got.headers["Upload-Complete"]

    async def cut(self, where: str, offset: int, data: bytes, sent: int) -> None:
        """An append whose connection ends after so many bytes."""
        _, writer = await asyncio.open_connection(self.host, self.port)
        head = f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Type: {APPEND}\r\nUpload-Offset: {offset}\r\n"
        writer.write(f"{head}Upload-Complete: ?1\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:sent])
        await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def yard(**made):
    one = Yard(**made)
    async with listening(one.door) as (one.host, one.port, _):
        one.url = f"http://{one.host}:{one.port}"
        yield one


def records(count: int) -> list[bytes]:
    return [batch("car-1", number, rows=1 + number % 50) for number in range(count)]


def values(kept: Kept) -> list[bytes]:
    return [value for _, value, _ in kept.records]


async def test_one_append_takes_everything():
    async with yard() as one:
        where = await one.begin()
        data = joined([*records(200), b"noise"])
        got = await one.append(where, 0, data)
        assert got.status == 200
        assert got.json() == {
            "offset": len(data), "complete": True, "stored": 200, "spooled": 0, "rejected": 1,
        }  # fmt: skip
        assert values(one.kept) == records(200)
        assert await one.offset(where) == (len(data), "?1")
        assert one.budget.used == 0


@pytest.mark.parametrize("seed", range(8))
async def test_cuts_at_random_bytes_are_exact(seed, monkeypatch):
    monkeypatch.setattr("gateway.uploads.APPEND_GROUP_BYTES", 2_000)
    chance = random.Random(seed)
    wanted = records(150)
    data = joined(wanted)
    async with yard() as one:
        where = await one.begin()
        cuts = 0
        while True:
            at, complete = await one.offset(where)
            if complete == "?1":
                break
            rest = data[at:]
            if cuts == 12:
                assert (await one.append(where, at, rest)).status == 200
                continue
            await one.cut(where, at, rest, chance.randrange(len(rest)))
            cuts += 1
        assert at == len(data)
        found = values(one.kept)
        assert list(dict.fromkeys(found)) == wanted, "all of them, in order"
        assert len(found) <= len(wanted) + cuts * 64, "at most one group comes again for each cut"


class Cut:
    """A request whose connection ends after some bytes that were read."""

    def __init__(self, *parts: bytes) -> None:
        self.content = self
        self._parts = list(parts)

    async def readany(self) -> bytes:
        if not self._parts:
            raise ConnectionResetError("Connection lost")
        return self._parts.pop(0)


async def test_clocks_of_sending_from_before_the_upload_are_taken_out_and_offsets_count_what_was_sent():
    stamped = batch("car-1", 0, stamps=(BASE_MS, 50, BASE_MS + 9, 59))
    async with yard() as made:
        got = await made.append(where := await made.begin(), 0, data := joined([stamped]))
        assert (got.status, await made.offset(where)) == (200, (len(data), "?1"))
    assert values(made.kept) == [batch("car-1", 0, stamps=(BASE_MS, 50, 0, 0))]


async def test_whole_records_of_an_append_that_was_cut_are_taken():
    data = joined(records(20))
    kept = Kept()
    upload = Upload("fleet", "k", 0.0)
    with pytest.raises(ConnectionResetError):
        await Uploads(Intake(kept), Budget(1))._take(Cut(data[:99], data[99:-1]), FLEET, upload, last=True)
    assert values(kept) == records(19)
    assert (upload.offset, upload.complete) == (len(joined(records(19))), False)


async def test_an_append_in_pieces_leaves_a_record_that_is_not_whole():
    data = joined(records(3))
    first = len(joined(records(1)))
    async with yard() as one:
        where = await one.begin()
        got = await one.append(where, 0, data[: first + 7], "?0")
        assert (got.status, got.json()["offset"], got.json()["complete"]) == (200, first, False)
        got = await one.append(where, first, data[first:-1], "?1")
        assert (got.status, got.json()["error"]) == (400, "framing")
        assert int(got.headers["Upload-Offset"]) == len(joined(records(2)))
        assert (await one.append(where, len(joined(records(2))), joined(records(3)[2:]))).status == 200
        assert values(one.kept) == records(3)


async def test_what_kafka_has_not_acknowledged_is_before_no_offset():
    async with yard() as one:
        where = await one.begin()
        one.kept.error = busy("broker", "gone")
        got = await one.append(where, 0, joined(records(5)))
        assert (got.status, got.json()["error"], got.headers["Upload-Offset"]) == (503, "broker", "0")
        one.kept.error = None
        assert (await one.append(where, 0, joined(records(5)))).status == 200
        assert values(one.kept) == records(5)


async def test_over_quota_the_offset_stands_before_the_first_record_that_was_put_off():
    async with yard(quotas=Quotas(Rates(), Rates(requests=0.001), 3_000.0)) as one:
        where = await one.begin()
        got = await one.append(where, 0, joined(records(10)))
        assert got.status == 429
        assert int(got.headers["Upload-Offset"]) == len(joined(records(4))), "three at once, and one into debt"
        assert int(got.headers["Retry-After"]) > 1


async def test_a_wrong_offset_and_a_second_end_are_conflicts():
    async with yard() as one:
        where = await one.begin()
        got = await one.append(where, 5, joined(records(1)))
        assert (got.status, got.json()["error"], got.headers["Upload-Offset"]) == (409, "offset", "0")
        await one.append(where, 0, joined(records(1)))
        got = await one.append(where, len(joined(records(1))), b"")
        assert (got.status, got.headers["Upload-Complete"]) == (409, "?1")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"Upload_Offset": "-1"}, 400),
        ({"Upload_Offset": "9" * 16}, 400),
        ({"Upload_Offset": "²"}, 400),
        ({"Upload_Complete": "yes"}, 400),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Type": "application/json"}, 415),
    ],
)
async def test_a_request_that_says_it_wrong_is_refused(more, status):
    async with yard() as one:
        where = await one.begin()
        assert (await one.append(where, 0, joined(records(1)), **more)).status == status
        assert not one.kept.records


async def test_an_upload_belongs_to_its_credentials():
    async with yard() as one:
        where = await one.begin()
        one.who = Identity("other", "fleet", prefix="")
        for method in ("HEAD", "DELETE"):
            assert (await send(one.url + where, None, method=method)).status == 404
        assert (await one.append(where, 0, joined(records(1)))).status == 404
        one.who = FLEET
        assert (await send(one.url + where, None, method="DELETE")).status == 204
        assert (await send(one.url + where, None, method="HEAD")).status == 404
        assert (await send(one.url + where, None, method="GET")).headers["Allow"] == "PATCH, HEAD, DELETE"


async def test_there_are_not_too_many_and_idle_ones_are_forgotten(monkeypatch):
    monkeypatch.setattr("gateway.uploads.UPLOADS_EACH", 2)
    async with yard() as one:
        now = [0.0]
        one.uploads._now = lambda: now[0]
        first = await one.begin()
        await one.begin()
        got = await send(one.url + PATH, None)
        assert (got.status, got.json()["error"]) == (429, "uploads")
        now[0] = 90_000.0
        await one.begin()
        assert (await send(one.url + first, None, method="HEAD")).status == 404


async def test_a_record_larger_than_any_ends_the_append():
    async with yard() as one:
        where = await one.begin()
        got = await one.append(where, 0, joined(records(1)) + b"\xff\xff\xff\xff" + bytes(100))
        assert (got.status, got.json()["error"]) == (400, "framing")
        assert int(got.headers["Upload-Offset"]) == len(joined(records(1)))
        assert one.budget.used == 0


async def test_a_new_request_takes_over_from_a_connection_that_hangs():
    async with yard() as one:
        where = await one.begin()
        reader, writer = await asyncio.open_connection(one.host, one.port)
        data = joined(records(2))
        head = f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Type: {APPEND}\r\nUpload-Offset: 0\r\nUpload-Complete: ?1\r\n"
        writer.write(f"{head}Content-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n".encode())
        await writer.drain()
        async with asyncio.timeout(20):
            await until(lambda: one.budget.used > 0)
            assert await one.offset(where) == (0, "?0")
            assert (await one.append(where, 0, data)).status == 200
            assert b"409" in await reader.readline()
        writer.close()
        assert values(one.kept) == records(2)
