"""Detour: a way to the brokers on which it can be decided what passes, one link a node.

What: TCP forwarders in a thread of their own, which can hold back what goes up or comes down, be slow, narrow, and break
connections. Why: cut cables, one-way routes and vehicles under bridges can't be had on loopback in any other way that needs
no rights. What a cut holds back arrives when it ends, as TCP does it: a request that its sender has given up may still reach
the broker, which is the worst that a network does to a log. It refuses to lose or change a byte inside a connection.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Literal, Self

Direction = Literal["up", "down"]
PIECE_BYTES = 16_384
READY_S = 10.0


class Link:
    """One forwarder. `target`: the port on loopback that it leads to. All but the constructor runs in the loop."""

    def __init__(self) -> None:
        self.target = 0
        self.port = 0
        self.delay_s = 0.0  # before each piece, either way
        self.bytes_per_s = 0.0  # 0: no limit
        self.broken = 0  # connections that were cut off in the middle
        self.held_bytes: dict[Direction, int] = {"up": 0, "down": 0}  # that came while nothing passed
        self._open: dict[Direction, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        for way in self._open.values():
            way.set()

    async def listen(self) -> None:
        """From now on, on a free port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # the broker is down: so is the way to it
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        pumps = [
            asyncio.ensure_future(self._pump("up", reader, far_writer)),
            asyncio.ensure_future(self._pump("down", far_reader, writer)),
        ]
        try:
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _pump(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(PIECE_BYTES):
                self.held_bytes[direction] += 0 if self._open[direction].is_set() else len(piece)
                await self._open[direction].wait()
                await asyncio.sleep(self.delay_s + (len(piece) / self.bytes_per_s if self.bytes_per_s else 0.0))
                await self._open[direction].wait()
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()  # the other pump reads from it, and so ends too

    async def cut(self, *directions: Direction) -> None:
        """Let nothing pass that way."""
        for direction in directions:
            self._open[direction].clear()

    async def slow(self, delay_s: float, bytes_per_s: float) -> None:
        """From now on."""
        self.delay_s, self.bytes_per_s = delay_s, bytes_per_s

    async def break_off(self) -> None:
        """Reset every connection, whatever is on its way."""
        for writer in list(self._writers):
            writer.transport.abort()
        self.broken += len(self._writers) // 2

    async def heal(self) -> None:
        """As if nothing had been."""
        self.delay_s = self.bytes_per_s = 0.0
        self.held_bytes = dict.fromkeys(self.held_bytes, 0)
        for way in self._open.values():
            way.set()

    async def close(self) -> None:
        """No more connections, and those that are end."""
        if self._server is not None:
            self._server.close()
        await self.break_off()


class Detour:
    """The links to all nodes, and the thread that serves them. A context manager."""

    def __init__(self, nodes: int) -> None:
        self.links = [Link() for _ in range(nodes)]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proof-detour", daemon=True)

    @property
    def bootstrap(self) -> str:
        """All nodes by this way, as clients take them."""
        return ",".join(f"127.0.0.1:{link.port}" for link in self.links)

    @property
    def broken(self) -> int:
        """Connections that were cut off in the middle, so far."""
        return sum(link.broken for link in self.links)

    def held_bytes(self, direction: Direction) -> int:
        """What has come that way since it was cut, and waits."""
        return sum(link.held_bytes[direction] for link in self.links)

    def __enter__(self) -> Self:
        self._thread.start()
        for link in self.links:
            self._do(link.listen())
        return self

    def __exit__(self, *unused: object) -> None:
        for link in self.links:
            self._do(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(READY_S)

    def cut(self, *directions: Direction) -> None:
        """Let nothing pass that way (up: to the brokers), until healed."""
        for link in self.links:
            self._do(link.cut(*directions))

    def slow(self, delay_s: float, bytes_per_s: float) -> None:
        """Each piece waits so long and takes its time, until healed."""
        for link in self.links:
            self._do(link.slow(delay_s, bytes_per_s))

    def break_off(self) -> None:
        """Reset every connection."""
        for link in self.links:
            self._do(link.break_off())

    def heal(self) -> None:
        """Everything passes."""
        for link in self.links:
            self._do(link.heal())
