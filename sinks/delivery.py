"""Delivery: performs what outboxes ask for, and HTTP. With `smtp`, the only file of this room that does anything.

What: a task that begins attempts, one short-lived task for each, and the network as an `Exchange`. Why so small: what to
send, when and how often is decided in `outbox`, without a network. Each attempt has one absolute deadline, from the
name's resolution to the last byte, however many requests it takes. It refuses to follow redirects, to read more than RESPONSE_BYTES_MAX, to use proxies
or cookies, and to let a fault of one channel reach another.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping

import aiohttp

from sinks import limits
from sinks.outbox import Attempt, Outbox
from sinks.port import (
    Answer,
    Category,
    Destination,
    Exchange,
    Failure,
    Outcome,
    Question,
    Rejected,
    Request,
    Response,
    Retry,
    Talk,
    Unsendable,
    telling,
)

IDLE_S = 60.0  # without anything to do, until woken
BODY_S = 1.0  # for a body, once the status is known


def wall_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


class HttpExchange:
    """Requests over aiohttp. Its session is made at first use, in the loop that uses it, and closed by `close`."""

    def __init__(self, clock_ms: Callable[[], int] = wall_ms) -> None:
        self._clock_ms = clock_ms
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": "tocsin"},
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    async def __call__(self, request: Question, timeout_s: float) -> Answer:
        """The answer, or why there is none, within `timeout_s`."""
        assert isinstance(request, Request)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request)
        except TimeoutError:
            return Failure(Category.TIMEOUT, f"no complete answer within {timeout_s:g} s")
        except aiohttp.ClientSSLError as error:
            return Failure(Category.TLS, _cause(error))
        except aiohttp.ClientConnectorError as error:
            return Failure(Category.UNREACHABLE, _cause(error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failure(Category.BROKEN, _cause(error))

    async def _exchange(self, request: Request) -> Response:
        call = self._opened().request(
            request.method, request.url, data=request.body, headers=dict(request.headers), allow_redirects=False
        )
        async with call as answer:
            headers = {name.lower(): value for name, value in list(answer.headers.items())[: limits.HEADERS_MAX]}
            return Response(answer.status, headers, await _body(answer), self._clock_ms())

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body. The status has said what matters: a body that does not come changes nothing."""
    try:
        async with asyncio.timeout(BODY_S):
            return await answer.content.read(limits.RESPONSE_BYTES_MAX)
    except (TimeoutError, aiohttp.ClientError):
        return b""


def _cause(error: BaseException) -> str:
    """What went wrong, without the address: a webhook's address is its secret."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    reason = (
        getattr(inner, "strerror", None) or getattr(inner, "reason", None) or getattr(inner, "verify_message", None)
    )
    return f"{type(error).__name__}{f' ({reason})' if reason else ''}"


async def converse(talk: Talk, exchange: Exchange, timeout_s: float) -> Outcome:
    """Requests and answers until the outcome, all within one deadline. Raises Unsendable."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + timeout_s
    try:
        request = next(talk)
        while True:
            left_s = ends_s - loop.time()
            late = Failure(Category.TIMEOUT, f"not all was said within {timeout_s:g} s")
            request = talk.send(await exchange(request, round(left_s, 3)) if left_s > 0 else late)
    except StopIteration as ended:
        outcome: Outcome = ended.value
        return outcome
    finally:
        talk.close()


class Delivery:
    """Performs the attempts of one or more outboxes through sinks by channel name, in one event loop.

    `changed` is called in that loop after each attempt that was settled: there is something to drain. Outboxes belong to
    the loop as well: nothing else may touch them from another thread.
    """

    def __init__(
        self,
        sinks: Mapping[str, Destination],
        exchange: Exchange,
        clock_ms: Callable[[], int] = wall_ms,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.counters: collections.Counter[str] = collections.Counter()
        self._sinks, self._exchange, self._clock_ms, self._changed = sinks, exchange, clock_ms, changed
        self._outboxes: list[Outbox] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    def add(self, outbox: Outbox) -> None:
        """Perform this outbox's attempts from now on."""
        self._outboxes.append(outbox)
        self._wake.set()

    def remove(self, outbox: Outbox) -> None:
        """Begin none of its attempts any more; what is under way ends, and is settled in it."""
        self._outboxes = [other for other in self._outboxes if other is not outbox]

    def wake(self) -> None:
        """Something was offered."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; attempts under way are then cancelled too, and owed again by whoever restores the outbox."""
        try:
            while True:
                self._wake.clear()
                wait_s = self._begin()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
        finally:
            await self._end(self._tasks)

    def _begin(self) -> float:
        """Begin what is due; seconds until there may be more."""
        now_ms = self._clock_ms()
        times: list[int] = []
        for outbox in self._outboxes:
            for attempt in outbox.begin(now_ms):
                task = asyncio.create_task(self._perform(outbox, attempt), name="delivery")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            next_ms = outbox.next_ms(now_ms)
            times += [] if next_ms is None else [next_ms]
            if outbox.changes:
                self._changed()
        return min(max(0.001, (min(times) - now_ms) / 1000), IDLE_S) if times else IDLE_S

    async def _perform(self, outbox: Outbox, attempt: Attempt) -> None:
        outcome: Outcome = Retry(Category.LOST, "the attempt was cancelled")
        try:
            outcome = await self._outcome(attempt)
        finally:
            outbox.settle(attempt, outcome, self._clock_ms())
            self._changed()
            self._wake.set()

    async def _outcome(self, attempt: Attempt) -> Outcome:
        record = attempt.notification
        sink = self._sinks.get(record.channel)
        if sink is None:
            return Rejected(Category.UNSENDABLE, f"there is no channel {record.channel!r}")
        try:
            return await converse(telling(sink, record, attempt.before), self._exchange, attempt.timeout_ms / 1000)
        except Unsendable as error:
            return Rejected(Category.UNSENDABLE, str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours in one channel must not end the others' deliveries
            self.counters["faults"] += 1
            return Retry(Category.BROKEN, f"a fault of our own: {type(error).__name__}")

    async def _end(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        ending = list(tasks)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
