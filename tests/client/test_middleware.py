"""Middleware: each request once, good or bad, with its duration; and nothing of the application changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from tocsin import Client, MemoryTransport
from tocsin.middleware import ASGI, WSGI

from demo.wire import read_batch
from tests.client.read import exemplars

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADER = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def transport() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def made(transport: MemoryTransport) -> Iterator[Client]:
    with Client(source="s", service="x", kind="web", transport=transport, flush_interval=3600) as client:
        yield client


def seen(made: Client, transport: MemoryTransport) -> list[tuple[int, dict[str, str]]]:
    """(outcome, labels) of each, in order."""
    made.flush(1)
    found = []
    for _, value in transport.records:
        batch = read_batch(value)
        assert (batch.value >= 0).all()
        for place, outcome in zip(batch.series.tolist(), batch.outcome.tolist(), strict=True):
            labels = dict(batch.identities[place][4])
            labels.pop("service")
            found.append((outcome, labels))
    return found


def wsgi_call(application: Any, **environ: str) -> list[bytes]:
    asked: dict[str, Any] = {**environ}
    setup_testing_defaults(asked)
    body = application(asked, lambda *unused: None)
    try:
        return list(body)
    finally:
        body.close()


def answering(status: str) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, [])
        return [b"a", b"b"]

    return application


def test_wsgi_requests_by_status_method_and_route(made: Client, transport: MemoryTransport) -> None:
    def route(asked: Any) -> str:
        return "/cart/{id}"

    assert wsgi_call(WSGI(answering("200 OK"), made, route=route), REQUEST_METHOD="POST") == [b"a", b"b"]
    wsgi_call(WSGI(answering("404 Not Found"), made), REQUEST_METHOD="BREW")
    wsgi_call(WSGI(answering("503 No"), made), HTTP_TRACEPARENT=HEADER)
    assert seen(made, transport) == [
        (1, {"method": "POST", "status": "2xx", "route": "/cart/{id}"}),
        (1, {"method": "other", "status": "4xx"}),
        (0, {"method": "GET", "status": "5xx"}),
    ]
    assert exemplars(transport.records[0][1]) == {2: bytes.fromhex(TRACE)}


def test_wsgi_errors_are_the_servers_and_are_counted(made: Client, transport: MemoryTransport) -> None:
    def at_once(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise KeyError("at once")

    def later(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"
        raise KeyError("later")

    for application in (at_once, later):
        with pytest.raises(KeyError):
            wsgi_call(WSGI(application, made))
    assert [outcome for outcome, _ in seen(made, transport)] == [0, 0]


def test_a_wsgi_body_that_nobody_reads_to_its_end_is_closed_and_counted(
    made: Client, transport: MemoryTransport
) -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield from (b"a", b"b")

        def close(self) -> None:
            closed.append(True)

    def application(environ: dict[str, Any], start_response: Any) -> Body:
        start_response("200 OK", [])
        return Body()

    body: Any = WSGI(application, made)({"REQUEST_METHOD": "GET"}, lambda *unused: None)
    assert next(iter(body)) == b"a"
    body.close()
    assert closed == [True]
    assert len(seen(made, transport)) == 1


def test_a_route_that_fails_costs_its_label_only(made: Client, transport: MemoryTransport) -> None:
    def broken(asked: Any) -> str:
        raise KeyError

    wsgi_call(WSGI(answering("200 OK"), made, route=broken))
    wsgi_call(WSGI(answering("200 OK"), made, route=lambda asked: object()))  # type: ignore[arg-type, return-value]
    assert seen(made, transport) == [(1, {"method": "GET", "status": "2xx"})] * 2


async def nobody() -> dict[str, Any]:
    return {"type": "http.request"}


async def test_asgi_requests(made: Client, transport: MemoryTransport) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/fail":
            raise KeyError
        await send({"type": "http.response.start", "status": int(scope["path"][1:])})
        await send({"type": "http.response.body"})

    measured = ASGI(application, made, route=lambda scope: "any")
    for path in ("/200", "/500"):
        await measured({"type": "http", "method": "GET", "path": path, "headers": []}, nobody, send)
    failing = {"type": "http", "method": "PUT", "path": "/fail", "headers": [(b"traceparent", HEADER.encode())]}
    with pytest.raises(KeyError):
        await measured(failing, nobody, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"] * 2
    assert seen(made, transport) == [
        (1, {"method": "GET", "status": "2xx", "route": "any"}),
        (0, {"method": "GET", "status": "5xx", "route": "any"}),
        (0, {"method": "PUT", "status": "5xx", "route": "any"}),
    ]
    assert exemplars(transport.records[0][1]) == {2: bytes.fromhex(TRACE)}


async def test_asgi_closes_the_client_when_the_server_shuts_down(made: Client, transport: MemoryTransport) -> None:
    sent: list[str] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        made.gauge("g").set(1.0)
        await send({"type": "lifespan.shutdown.complete"})

    await ASGI(application, made)({"type": "lifespan"}, nobody, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert made.stats.delivered == 1
    assert made.stats.recorded == 1
    made.gauge("g").set(2.0)
    assert made.stats.refused == {"closed": 1}


async def test_other_protocols_pass(made: Client, transport: MemoryTransport) -> None:
    passed = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        passed.append((scope["type"], receive, send))

    await ASGI(application, made, close=False)({"type": "websocket"}, nobody, nobody)
    await ASGI(application, made, close=False)({"type": "lifespan"}, nobody, nobody)
    assert passed == [("websocket", nobody, nobody), ("lifespan", nobody, nobody)]
    assert seen(made, transport) == []
