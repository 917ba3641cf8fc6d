"""Connections: aiohttp's protocol with a clock and a door.

What: a deadline for the head of each request, one for the whole of it, a limit on open connections, and one on bytes that
are no body. Why: aiohttp waits for ever for headers that drip, and for a reader that does not read, and reads on for two
seconds, as fast as it can, what it has refused; a thousand such clients must not keep a good one out. It refuses in
silence: who drips or sends on is cut off, who comes too many gets 503 and is let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler

from gateway import selfmetrics
from gateway.answers import refusal_answer
from gateway.limits import (
    BODY_BYTES,
    CUT_S,
    HEAD_S,
    HEADER_BYTES,
    HEADER_FIELDS,
    KEEP_ALIVE_S,
    LINGER_BYTES,
    LINGER_S,
    REQUEST_S,
    SEND_BYTES,
)
from gateway.refusal import Refusal

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: what a client does not read dies with its connection

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener(web.Server):
    """Makes a Connection for each client. `head_s` and `request_s` in seconds."""

    def __init__(self, handle: Handle, most: int, *, head_s: float = HEAD_S, request_s: float = REQUEST_S) -> None:
        super().__init__(
            handle,
            auto_decompress=False,  # ours is bounded
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
            max_headers=HEADER_FIELDS,
            max_field_size=HEADER_BYTES,
            max_line_size=HEADER_BYTES,
            access_log=None,
        )
        self.most = most
        self.head_s = head_s
        self.request_s = request_s
        self.open = 0
        self.busy = 0  # requests under way
        self._quiet = asyncio.Event()

    def ended(self) -> None:
        """A request has ended."""
        self.busy -= 1
        if not self.busy:
            self._quiet.set()

    async def drain(self, timeout_s: float) -> None:
        """Let requests under way end within so many seconds, and connections with them; then cut what is left.

        aiohttp's own way stops reading at once, so a body half received would never be whole.
        """
        self._quiet.clear()
        self.pre_shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                if self.busy:
                    await self._quiet.wait()
        await self.shutdown(CUT_S)

    def __call__(self) -> RequestHandler:
        """For the loop: the protocol of a new connection."""
        return Connection(self, self._loop, self._kwargs)


class Connection(RequestHandler):
    """One client's connection."""

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, options: dict[str, object]) -> None:
        super().__init__(listener, loop=loop, **options)  # type: ignore[arg-type]  # as aiohttp's own Server does
        self._listener = listener
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._counted = False
        self._busy = False
        self._ended = False  # cut by us
        self._last = False  # close after the request under way
        self._body: StreamReader | None = None  # of the request under way
        self.beyond = 0  # bytes that came during it and are none of its body; or, after it, before the next one
        self._spare = BODY_BYTES  # so many may come after it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, unless the house is full."""
        if self._listener.open >= self._listener.most:
            self._force_close = True
            selfmetrics.CUT.labels("too_many").inc()
            if isinstance(transport, asyncio.Transport):
                transport.write(_FULL)
            transport.close()
            return
        own = transport.get_extra_info("socket")
        if own is not None:  # what one who does not read makes the kernel hold
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self._counted = True
        self._listener.open += 1
        selfmetrics.CONNECTIONS.inc()
        super().connection_made(transport)
        self._arm(self._listener.head_s, "slow_head")

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        self._disarm()
        if self._unread is not None:
            self._unread.cancel()
        if self._counted:
            self._counted = False
            self._listener.open -= 1
            selfmetrics.CONNECTIONS.dec()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The first byte of a request starts its clock; further ones do not set it back."""
        if data and self._timer is None and not self._busy:
            self._arm(self._listener.head_s, "slow_head")
        known = self._body.total_bytes if self._body is not None else 0
        super().data_received(data)
        self.beyond += len(data) - (self._body.total_bytes - known if self._body is not None else 0)
        if not self._busy and self.beyond > self._spare:
            self._cut("too_much")

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, answering: Handle
    ) -> tuple[web.StreamResponse, bool]:
        """From the end of the head to the last byte of the answer."""

        async def work(request: web.BaseRequest) -> web.StreamResponse:
            answer = await answering(request)
            answer.headers["Server"] = "tocsin"  # no versions
            if self._last:
                answer.force_close()
            self._spare = LINGER_BYTES if answer.keep_alive is False else BODY_BYTES
            return answer

        self._busy, self._body, self.beyond = True, request.content, 0
        self._listener.busy += 1
        self._arm(self._listener.request_s, "slow_request")
        try:
            return await super()._handle_request(request, start_time, work)
        finally:
            self._busy, self._body, self.beyond = False, None, 0
            self._disarm()
            self._watch_answer()
            self._listener.ended()
            if self._last:
                super().close()

    def close(self) -> None:
        """End when idle: now, or after the request under way."""
        self._last = True
        if not self._busy:
            super().close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is not HTTP, or has hung up or been cut, gets 400 and no line in the log, since anybody can do that; the
        rest is aiohttp's."""
        if status >= 500 and not isinstance(exc, ConnectionError):
            return super().handle_error(request, status, exc, message)
        answer = refusal_answer(Refusal(status, "http", "this is not an HTTP request that can be read"))
        answer.force_close()
        return answer

    def _arm(self, seconds: float, why: str) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, self._cut, why)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch_answer(self) -> None:
        """An answer that is small enough to wait in a buffer has a deadline too, until it has left the buffer."""
        if self._unread is not None:
            self._unread.cancel()
        self._unread = None
        if self._left():
            self._unread = self._loop.call_later(self._listener.request_s, self._drop_unread)

    def _drop_unread(self) -> None:
        if self._left():
            self._cut("slow_request")

    def _left(self) -> int:
        """Bytes that this process still has to send."""
        transport = self.transport
        return transport.get_write_buffer_size() if isinstance(transport, asyncio.WriteTransport) else 0

    def _cut(self, why: str) -> None:
        self._disarm()
        if self.transport is None or self._ended:
            return
        self._ended = True
        selfmetrics.CUT.labels(why).inc()
        own = self.transport.get_extra_info("socket")
        if own is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()
