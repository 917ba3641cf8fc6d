"""Who drips is cut, who comes too many is turned away, who is honest is served."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiohttp import web

from gateway.answers import refusal_answer
from gateway.limits import BODY_BYTES, LINGER_BYTES
from gateway.refusal import Refusal
from gateway.selfmetrics import CUT
from tests.gateway.making import listening, send, until

SOCKET_BYTES = 40 << 20  # what a kernel takes for a process that does not read


async def fine(request: web.BaseRequest) -> web.Response:
    return web.Response(text="fine")


@contextlib.asynccontextmanager
async def raw(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until_cut(reader):
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


@pytest.mark.parametrize("begin", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_head_that_does_not_end_is_cut(begin):
    async with listening(fine, head_s=0.2) as (host, port, listener), raw(host, port) as (reader, writer):
        writer.write(begin)
        assert await until_cut(reader) == b""
        assert listener.open == 0


async def test_dripping_does_not_set_the_clock_back():
    async with listening(fine, head_s=0.5) as (host, port, _), raw(host, port) as (reader, writer):
        began = asyncio.get_running_loop().time()

        async def drip():
            writer.write(b"GET / HTTP/1.1\r\n")
            while True:
                writer.write(b"A: b\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await until_cut(reader) == b""
        dripping.cancel()
        assert asyncio.get_running_loop().time() - began < 5


async def test_a_second_request_that_drips_is_cut_too():
    async with listening(fine, head_s=0.3) as (host, port, _), raw(host, port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HT")
        assert await until_cut(reader) == b""


async def test_a_request_that_takes_too_long_is_cut():
    async def never(request):
        await asyncio.Event().wait()

    async with listening(never, request_s=0.2) as (host, port, _), raw(host, port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await until_cut(reader) == b""


async def test_an_idle_connection_between_requests_is_not_a_slow_one():
    async with listening(fine, head_s=0.3) as (host, port, _), raw(host, port) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await reader.readuntil(b"fine")
            await asyncio.sleep(0.5)  # longer than a head may take: time itself is what is tested


async def test_one_too_many_is_turned_away_and_a_place_is_free_again():
    async with listening(fine, most=2) as (host, port, listener):
        async with raw(host, port) as (one, writer), raw(host, port):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await one.readuntil(b"fine")
            async with raw(host, port) as (turned_away, _):
                assert b"503" in await until_cut(turned_away)
        await until(lambda: listener.open == 0)
        assert (await send(f"http://{host}:{port}/", None, method="GET")).status == 200


async def test_many_slow_ones_do_not_keep_a_good_one_out():
    async with listening(fine, most=500, head_s=30) as (host, port, _), contextlib.AsyncExitStack() as stack:
        for _ in range(300):
            _, writer = await stack.enter_async_context(raw(host, port))
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n")
        async with asyncio.timeout(5):
            assert (await send(f"http://{host}:{port}/", None, method="GET")).status == 200


async def test_headers_have_limits():
    async with listening(fine) as (host, port, _):
        many = {f"X_{number}": "v" for number in range(200)}
        assert (await send(f"http://{host}:{port}/", None, method="GET", **many)).status == 400
        assert (await send(f"http://{host}:{port}/", None, method="GET", X="v" * 10_000)).status == 400


async def test_draining_lets_a_request_under_way_end_and_then_closes():
    begun = asyncio.Event()

    async def whole(request):
        begun.set()
        return web.Response(body=await request.read())

    async with listening(whole) as (host, port, listener), raw(host, port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        await begun.wait()
        draining = asyncio.create_task(listener.drain(10))
        await asyncio.sleep(0)
        writer.write(b"cd")
        answer = await until_cut(reader)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"abcd")
        assert b"Connection: close" in answer
        await draining


async def test_draining_does_not_wait_for_ever():
    async def never(request):
        await asyncio.Event().wait()

    async with listening(never) as (host, port, listener), raw(host, port) as (reader, writer), raw(host, port):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: listener.busy == 1)
        async with asyncio.timeout(10):
            await listener.drain(0.1)
        assert await until_cut(reader) == b""


async def test_what_is_not_http_is_refused_without_a_word_in_the_log(caplog):
    async with listening(fine) as (host, port, _), raw(host, port) as (reader, writer):
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        answer = await until_cut(reader)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"aiohttp" not in answer, "versions are nobody's business"
    assert not caplog.records


async def sent_until_cut(host, port, head, piece, at_most):
    """(answer's head, bytes that were taken) of a sender who goes on whatever he is told."""
    taken = 0
    async with raw(host, port) as (reader, writer):
        writer.write(head)
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        with contextlib.suppress(ConnectionError):
            while taken < at_most:
                writer.write(piece)
                await writer.drain()
                taken += len(piece)
        return await answer, taken


@pytest.mark.parametrize(
    ("status", "least", "most"), [(413, LINGER_BYTES, 2 * LINGER_BYTES), (503, BODY_BYTES, BODY_BYTES + LINGER_BYTES)]
)
async def test_what_was_refused_is_not_read_on_for_ever(status, least, most):
    async def refusing(request):
        return refusal_answer(Refusal(status, "why", "so"))

    before = CUT.labels("too_much")._value.get()
    async with listening(refusing) as (host, port, listener):
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n"
        answer, taken = await sent_until_cut(host, port, head, bytes(1 << 16), 16 * BODY_BYTES)
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert least <= taken <= most + SOCKET_BYTES
        assert CUT.labels("too_much")._value.get() == before + 1
        await until(lambda: listener.open == 0)


@pytest.mark.parametrize("waits", [True, False], ids=["the answer waits", "the answer lies in the buffer"])
async def test_a_reader_who_does_not_read_is_cut_and_hears_of_it(waits):
    async def long(request):
        if not waits:
            request.transport.set_write_buffer_limits(high=1 << 30)
        return web.Response(body=bytes(64 << 20))

    async with listening(long, request_s=0.3) as (host, port, listener), raw(host, port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: listener.open == 1)
        await until(lambda: listener.open == 0)
        with pytest.raises(ConnectionError):
            await reader.read()
