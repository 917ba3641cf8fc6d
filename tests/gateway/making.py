"""What tests of the gateway make: records, an HTTP client, a gateway without a broker."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import psutil

from gateway.connection import Listener
from gateway.door import Door
from gateway.large import Large
from gateway.limits import LARGE_BYTES
from gateway.parts import joined, several
from gateway.settings import Settings
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch
from schemas.records import MeasureKind

BASE_MS = 1_700_000_000_000


def batch(
    source: str = "source-1",
    sequence: int = 0,
    rows: int = 5,
    boot: str = "boot",
    stamps: tuple[int, int, int, int] = (0, 0, 0, 0),
    **changed: object,
) -> bytes:
    """One framed batch whose values are 0, 1, 2 …"""
    entries = [SeriesEntry("made.count", MeasureKind.COUNTER), SeriesEntry("made.level", MeasureKind.GAUGE, "ms")]
    return encode_batch(
        entries, Resource(service="made"), Producer(source, boot),
        base_ms=BASE_MS, series=[row % 2 for row in range(rows)], delta_ms=list(range(rows)),
        value=[float(row) for row in range(rows)], sequence=sequence, stamps=stamps, changed=changed,
    )  # fmt: skip


class Answer:
    """An HTTP answer, read."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


async def send(
    url: str,
    body: bytes | AsyncIterator[bytes] | None,
    kind: str = "application/vnd.tocsin.batch",
    method: str = "POST",
    tls: ssl.SSLContext | None = None,
    **headers: str,
) -> Answer:
    """One request over a connection of its own."""
    fields = {"Content-Type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(method, url, data=data, headers=fields, ssl=tls or True) as got,
    ):
        return Answer(got.status, dict(got.headers), await got.read())


@contextlib.asynccontextmanager
async def held_up(large: Large) -> AsyncIterator[None]:
    """While the process that reads large bodies stands still; every large body is being read until the end of this."""
    await large.read("warm", several, joined([bytes(LARGE_BYTES)]))
    process = psutil.Process(large._idle[0].pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


async def until(true: Callable[[], Awaitable[bool] | bool], within_s: float = 30.0) -> None:
    """Wait for something that sets no event."""
    async with asyncio.timeout(within_s):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


def settings(**changed: object) -> Settings:
    """On ports that are free."""
    return Settings(**{"port": 0, "health_port": 0, "delivery_timeout_s": 2.0} | changed)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def listening(door: Door, most: int = 100, **options: float) -> AsyncIterator[tuple[str, int, Listener]]:
    """(host, port, listener) of a door by itself."""
    listener = Listener(door, most, **options)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield host, port, listener
    finally:
        server.close()
        await listener.drain(1.0)
