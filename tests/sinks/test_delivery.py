"""Delivery over real sockets: answers, silence, redirects, storms, and one channel's fault beside another's health."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from schemas.records import NotificationRecord
from sinks.delivery import Delivery, HttpExchange, converse
from sinks.fakes.pagerduty import PagerDutyFake
from sinks.fakes.receiver import Fault
from sinks.fakes.webhook import WebhookFake
from sinks.lane import Policy
from sinks.memory import Memory, MemoryReceiver
from sinks.outbox import Outbox
from sinks.pagerduty import PagerDuty
from sinks.port import Answer, Category, Failure, Question, Request, Response, Retry, Sink, Talk
from sinks.retry import Backoff
from sinks.webhook import Webhook
from tests.sinks.build import notification

QUICK = Backoff(20, 100)


@pytest.fixture
async def exchange() -> AsyncIterator[HttpExchange]:
    found = HttpExchange()
    yield found
    await found.close()


@pytest.fixture
def pager() -> Iterator[PagerDutyFake]:
    with PagerDutyFake() as server:
        yield server


@pytest.fixture
def hook() -> Iterator[WebhookFake]:
    with WebhookFake() as server:
        yield server


@contextlib.asynccontextmanager
async def listener(behave: Callable[[socket.socket], None]) -> AsyncIterator[str]:
    """A server of one connection that behaves as told."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(5)
                    connection.recv(65_536)
                    behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(thread.join, 10)


def ask(url: str) -> Request:
    return Request("POST", url, {}, b"{}")


def silence(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.recv(1)


def drip(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(40):
            connection.sendall(b"x")
            time.sleep(0.1)


async def test_silence_ends_at_the_deadline(exchange: HttpExchange) -> None:
    async with listener(silence) as url:
        began = time.monotonic()
        answer = await exchange(ask(url), 0.3)
        assert time.monotonic() - began < 2
        assert isinstance(answer, Failure)
        assert answer.category is Category.TIMEOUT


async def test_a_body_that_drips_does_not_hold_up_the_status(exchange: HttpExchange) -> None:
    async with listener(drip) as url:
        answer = await exchange(ask(url), 5.0)
        assert isinstance(answer, Response)
        assert answer.status == 202


async def test_headers_without_a_body_are_an_answer(exchange: HttpExchange) -> None:
    def only_headers(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 1000\r\n\r\n")
        silence(connection)

    async with listener(only_headers) as url:
        answer = await exchange(ask(url), 5.0)
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 99_999]
)
async def test_nonsense_is_a_broken_answer(exchange: HttpExchange, said: bytes) -> None:
    async with listener(lambda connection: connection.sendall(said)) as url:
        answer = await exchange(ask(url), 5.0)
        assert isinstance(answer, Failure)
        assert answer.category is Category.BROKEN


async def test_nobody_listens(exchange: HttpExchange) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = await exchange(ask(f"http://127.0.0.1:{port}/secret"), 5.0)
    assert isinstance(answer, Failure)
    assert answer.category is Category.UNREACHABLE
    assert "secret" not in answer.detail


async def test_a_name_that_does_not_resolve(exchange: HttpExchange) -> None:
    answer = await exchange(ask("https://nobody.invalid/"), 5.0)
    assert isinstance(answer, Failure)
    assert answer.category is Category.UNREACHABLE


async def test_no_tls_where_tls_was_asked_for(exchange: HttpExchange, hook: WebhookFake) -> None:
    answer = await exchange(ask(hook.url.replace("http:", "https:")), 5.0)
    assert isinstance(answer, Failure)
    assert answer.category in (Category.TLS, Category.UNREACHABLE)


async def test_redirects_are_not_followed(exchange: HttpExchange, hook: WebhookFake, pager: PagerDutyFake) -> None:
    hook.fails(Fault(307, headers={"Location": pager.url}))
    answer = await exchange(ask(hook.url), 5.0)
    assert isinstance(answer, Response)
    assert answer.status == 307
    assert pager.log() == []


async def test_no_cookie_is_kept_and_no_proxy_asked(
    exchange: HttpExchange, hook: WebhookFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    hook.fails(Fault(200, headers={"Set-Cookie": "a=b"}))
    for _ in range(2):
        assert isinstance(await exchange(ask(hook.url), 5.0), Response)
    assert all("cookie" not in arrival.headers for arrival in hook.log())


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - servers in threads set no event
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def delivering(outbox: Outbox, sinks: dict[str, Sink], exchange: object) -> AsyncIterator[Delivery]:
    delivery = Delivery(sinks, exchange)  # type: ignore[arg-type]
    delivery.add(outbox)
    task = asyncio.create_task(delivery.run())
    try:
        yield delivery
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def offer(outbox: Outbox, delivery: Delivery, *records: NotificationRecord) -> None:
    outbox.offer(records, time.time_ns() // 1_000_000)
    delivery.wake()


async def test_all_that_is_said_in_an_attempt_has_one_deadline() -> None:
    left: list[float] = []

    async def slow(request: Question, timeout_s: float) -> Answer:
        left.append(timeout_s)
        await asyncio.sleep(0.1)
        return Response(200, {}, b"", 0)

    def talk() -> Talk:
        for _ in range(2):
            yield ask("http://127.0.0.1/")
        last = yield ask("http://127.0.0.1/")
        assert isinstance(last, Failure)
        return Retry(last.category, last.detail)

    outcome = await converse(talk(), slow, 0.15)
    assert outcome == Retry(Category.TIMEOUT, "not all was said within 0.15 s")
    assert len(left) == 2
    assert left[0] > 0.1 > left[1], "the second has what the first left over"


async def test_a_page_goes_out_at_once(exchange: HttpExchange, pager: PagerDutyFake) -> None:
    outbox = Outbox({"pager": Policy(backoff=QUICK)})
    async with delivering(outbox, {"pager": PagerDuty("k" * 32, pager.url)}, exchange) as delivery:
        offer(outbox, delivery, notification("warm", "warm"))
        await until(lambda: not len(outbox))
        began = time.monotonic()
        offer(outbox, delivery, notification())
        await until(lambda: not len(outbox))
        assert time.monotonic() - began < 0.5
    assert [record.status for record in outbox.drain()][-1] == "delivered"


async def test_one_incident_whatever_the_answers(exchange: HttpExchange, pager: PagerDutyFake) -> None:
    """503, taken but 500, hung up, late, 429: then one incident, opened and closed once."""
    pager.fails(Fault(503), Fault(500, taking=True), Fault(0), Fault(202, taking=True, delay_s=1.0))
    pager.fails(Fault(429, headers={"Retry-After": "1"}))
    outbox = Outbox({"pager": Policy(backoff=QUICK, timeout_ms=300, breaker_failures=9)})
    async with delivering(outbox, {"pager": PagerDuty("k" * 32, pager.url)}, exchange) as delivery:
        offer(outbox, delivery, notification("n1"), notification("n2", action="resolve"))
        await until(lambda: not len(outbox))
    (incident,) = pager.incidents
    assert incident.status == "resolved"
    assert {action for _, action in incident.told} == {"trigger", "resolve"}
    assert pager.dropped == []
    times = [arrival.at_ms for arrival in pager.log()]
    limited = next(at for at, arrival in zip(times, pager.log(), strict=True) if arrival.status == 429)
    assert min(at for at in times if at > limited) - limited >= 990


async def test_a_dead_channel_falls_back_and_holds_up_no_other(
    exchange: HttpExchange, pager: PagerDutyFake, hook: WebhookFake
) -> None:
    pager.stays(Fault(200, delay_s=60.0))
    policies = {
        "pager": Policy(backoff=QUICK, timeout_ms=200, fallback="team", fallback_after_ms=500),
        "team": Policy(),
        "other": Policy(),
    }
    sinks: dict[str, Sink] = {
        "pager": PagerDuty("k" * 32, pager.url),
        "team": Webhook("team", hook.url),
        "other": Webhook("other", hook.url),
    }
    outbox = Outbox(policies)
    async with delivering(outbox, sinks, exchange) as delivery:
        began = time.monotonic()
        offer(outbox, delivery, *(notification(f"n{n}", f"i{n}") for n in range(5)))
        offer(outbox, delivery, *(notification(f"m{n}", f"j{n}", channel="other") for n in range(20)))
        await until(lambda: sum(arrival.fields["receiver"] == "other" for arrival in hook.log()) == 20, 2)
        healthy = time.monotonic() - began
        await until(lambda: sum(arrival.fields["receiver"] == "team" for arrival in hook.log()) == 5, 5)
        assert healthy < 1
        assert time.monotonic() - began < 3
    assert outbox.counters["fell_back"] == 5


async def test_a_storm_stays_under_the_limit_and_pages_go_first(exchange: HttpExchange) -> None:
    with PagerDutyFake(per_minute=40) as pager:
        outbox = Outbox({"pager": Policy(per_minute=40, in_flight=1)})
        async with delivering(outbox, {"pager": PagerDuty("k" * 32, pager.url)}, exchange) as delivery:
            tickets = [notification(f"t{n}", f"t{n}", severity="ticket") for n in range(2_000)]
            pages = [notification(f"p{n}", f"p{n}") for n in range(5)]
            offer(outbox, delivery, *tickets, *pages)
            await until(lambda: len(pager.log()) >= 30)
            await asyncio.sleep(0.3)
        assert all(arrival.status == 202 for arrival in pager.log())
        assert len(pager.log()) <= 40
        first = pager.incidents[:5]
        assert sum(incident.severity == "critical" for incident in first) == 5


async def test_a_fault_of_a_sink_is_contained_and_told() -> None:
    class Faulty(Memory):
        def outcome(self, answer: object) -> object:  # type: ignore[override]
            raise RuntimeError("secret")

    receiver = MemoryReceiver()
    outbox = Outbox({"bad": Policy(), "good": Policy()})
    changes: list[int] = []
    delivery = Delivery({"bad": Faulty(), "good": Memory()}, receiver, changed=lambda: changes.append(1))
    delivery.add(outbox)
    task = asyncio.create_task(delivery.run())
    offer(
        outbox,
        delivery,
        notification("b", channel="bad"),
        notification("g", channel="good"),
        notification("x", channel="none"),
    )
    await until(lambda: outbox.counters["delivered"] == 1 and outbox.counters["failed_broken"] == 1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert delivery.counters["faults"] == 1
    assert changes
    errors = [record.last_error for record in outbox.drain()]
    assert not any("secret" in error for error in errors)


async def test_a_channel_without_a_sink_and_what_cannot_be_sent_fail_at_once() -> None:
    outbox = Outbox({"pager": Policy(), "team": Policy()})
    async with delivering(outbox, {"team": Memory()}, MemoryReceiver()) as delivery:
        offer(outbox, delivery, notification("a"), notification("b", channel="team", action="shout"))
        await until(lambda: not len(outbox))
    assert outbox.counters["failed_unsendable"] == 2


@pytest.mark.parametrize("turns", range(6))
async def test_the_end_is_not_missed_when_it_comes_just_after_a_wake(turns: int) -> None:
    """At whatever turn of the loop it comes: between "woken" and "runs on" a cancellation could be forgotten."""
    delivery = Delivery({}, MemoryReceiver())
    task = asyncio.create_task(delivery.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    delivery.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert task in done


async def test_the_end_cancels_what_is_under_way_and_leaves_it_owed(exchange: HttpExchange, hook: WebhookFake) -> None:
    hook.stays(Fault(200, delay_s=60.0))
    outbox = Outbox({"team": Policy()})
    async with delivering(outbox, {"team": Webhook("team", hook.url)}, exchange) as delivery:
        offer(outbox, delivery, notification(channel="team"))
        await until(lambda: bool(hook.log()))
        delivery.remove(outbox)
    assert len(outbox) == 1
    assert outbox.lanes["team"].flying == 0
