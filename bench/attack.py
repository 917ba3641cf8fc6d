"""Attack: clients that mean a gateway no good, from a process of its own.

    python -m bench.attack '{"url": "...", "slow": 1000, "bombs_s": 0}'

What: so many connections whose heads never end (a byte a second; one that is cut comes again), or so many bombs a second:
small compressed bodies that would unfold to hundreds of times their size, and others that stay just below the ratio that
gives them away. Why: figures beside an attack say whether good clients notice it. It refuses to be let in: a bomb that is
taken is an error.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import json
import random
import sys
import time
import urllib.parse
import zlib

from bench.child import await_go
from gateway.limits import UNFOLD_RATIO, UNFOLDED_BYTES
from gateway.parts import SEVERAL
from gateway.telemetry import PATH

DRIP_S = 1.0
OPENING = 50  # connections opened at once
ZEROS = 64 << 20  # bytes; gzip makes 65 KB of them
NOISE_SHARE = 1.05  # of the noise that keeps a body below the ratio


@dataclasses.dataclass(frozen=True)
class Order:
    """What to do until told to stop."""

    url: str
    slow: int = 0  # connections
    bombs_s: float = 0.0


@dataclasses.dataclass(frozen=True)
class Attacked:
    """What came of it. `statuses`: of bombs."""

    most_open: int
    opened: int
    statuses: dict[str, int]


def gzipped(data: bytes) -> bytes:
    """As a body."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def bombs() -> list[bytes]:
    """Bodies: one far beyond the ratio, and one below it that unfolds to the limit, and whose framing is wrong."""
    noise = random.Random(1).randbytes(int(UNFOLDED_BYTES / UNFOLD_RATIO * NOISE_SHARE))
    quiet = b"\xff" * 4 + noise + bytes(UNFOLDED_BYTES - len(noise) - 4)
    return [gzipped(bytes(ZEROS)), gzipped(quiet)]


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close it, and wait until it is."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Attacker:
    """All of it."""

    def __init__(self, order: Order) -> None:
        self.order = order
        parts = urllib.parse.urlsplit(order.url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._open = self._opened = self._most = 0
        self._statuses: collections.Counter[int] = collections.Counter()
        self._turn = asyncio.Semaphore(OPENING)
        self._bombs = bombs() if order.bombs_s else []

    async def run(self, stopped: asyncio.Event) -> Attacked:
        """Until stopped."""
        tasks = [asyncio.create_task(self._drip()) for _ in range(self.order.slow)]
        if self._bombs:
            tasks.append(asyncio.create_task(self._bombard()))
        await stopped.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return Attacked(self._most, self._opened, {str(status): count for status, count in self._statuses.items()})

    async def _drip(self) -> None:
        while True:
            async with self._turn:
                _, writer = await asyncio.open_connection(self._host, self._port)
            self._opened += 1
            self._open += 1
            self._most = max(self._most, self._open)
            try:
                writer.write(b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                while not writer.is_closing():
                    await asyncio.sleep(DRIP_S)
                    writer.write(b"x")
                    await writer.drain()
            except OSError:
                pass  # cut, as it should be
            finally:
                self._open -= 1
                await closed(writer)

    async def _bombard(self) -> None:
        begun, sent = time.perf_counter(), 0
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(max(0.0, begun + sent / self.order.bombs_s - time.perf_counter()))
                group.create_task(self._bomb(self._bombs[sent % len(self._bombs)]))
                sent += 1

    async def _bomb(self, data: bytes) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {SEVERAL}\r\nContent-Encoding: gzip\r\n"
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
                self._statuses[int((await reader.readuntil(b"\r\n")).split(b" ", 2)[1])] += 1
        finally:
            await closed(writer)


async def attack(order: Order) -> Attacked | None:
    """Get ready, wait for the word, attack until told to stop."""
    attacker, stopped = Attacker(order), asyncio.Event()
    loop = asyncio.get_running_loop()
    if not await asyncio.to_thread(await_go, order.bombs_s, lambda: loop.call_soon_threadsafe(stopped.set)):
        return None
    return await attacker.run(stopped)


def main(said: str) -> None:
    """The process."""
    found = asyncio.run(attack(Order(**json.loads(said))))
    if found is not None:
        print(json.dumps(dataclasses.asdict(found)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
