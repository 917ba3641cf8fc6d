"""A body that comes too slowly is let go of, with its memory."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.answers import refusal_answer
from gateway.body import body_of
from gateway.limits import BODY_BYTES, FRAMING_BYTES
from gateway.memory import Budget, Share
from gateway.refusal import Refusal
from tests.gateway.making import listening, until


async def test_a_slow_body_is_408_and_its_memory_comes_back():
    budget = Budget(1_000)

    async def read(request: web.BaseRequest) -> web.Response:
        try:
            with Share(budget) as share:
                return web.Response(body=await body_of(request, share, within_s=0.2))
        except Refusal as refusal:
            return refusal_answer(refusal)

    async with listening(read) as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        assert b"408" in head.split(b"\r\n")[0]
        assert b"Retry-After: 1" in head
        assert (budget.used, budget.peak) == (0, 3), "what had come was held, and not what was declared"
        writer.close()


async def test_a_body_that_breaks_off_holds_nothing_and_says_nothing(caplog):
    budget = Budget(1_000)
    ended = asyncio.Event()

    async def read(request: web.BaseRequest) -> web.Response:
        try:
            with Share(budget) as share:
                return web.Response(body=await body_of(request, share))
        finally:
            ended.set()

    async with listening(read) as (host, port, listener):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        await writer.drain()
        await until(lambda: budget.used > 0)
        async with asyncio.timeout(10):
            writer.transport.abort()
            await ended.wait()
        assert budget.used == 0
        await until(lambda: listener.busy == 0)
    assert not caplog.records, "anybody can hang up, and nobody wants to read of it"


async def test_a_body_in_chunks_of_a_byte_is_refused_long_before_it_is_too_large():
    sizes = []

    async def read(request: web.BaseRequest) -> web.Response:
        try:
            with Share(Budget(4 * BODY_BYTES)) as share:
                sizes.append(len(await body_of(request, share)))
            return web.Response()
        except Refusal as refusal:
            return refusal_answer(refusal)

    def chunked(chunk: bytes, size: int) -> bytes:
        frame = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + frame * (size // len(chunk))

    async with listening(read) as (host, port, _):
        for chunk, size, status in ((b"x", FRAMING_BYTES // 4, b"413"), (b"x" * 64, BODY_BYTES, b"200")):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(chunked(chunk, size) + b"0\r\n\r\n" * (status == b"200"))
            async with asyncio.timeout(30):
                assert status in (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
            writer.close()
    assert sizes == [BODY_BYTES]
