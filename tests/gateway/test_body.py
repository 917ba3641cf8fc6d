"""A body that comes too slowly is let go of, with its memory."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.answers import refusal_answer
from gateway.body import body_of
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
        assert (budget.used, budget.peak) == (0, 100), "what was declared was held"
        writer.close()


async def test_a_body_that_breaks_off_holds_nothing():
    budget = Budget(1_000)
    ended = asyncio.Event()

    async def read(request: web.BaseRequest) -> web.Response:
        try:
            with Share(budget) as share:
                return web.Response(body=await body_of(request, share))
        finally:
            ended.set()

    async with listening(read) as (host, port, _):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        await writer.drain()
        await until(lambda: budget.used > 0)
        async with asyncio.timeout(10):
            writer.transport.abort()
            await ended.wait()
        assert budget.used == 0
