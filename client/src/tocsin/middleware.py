"""Middleware: every request of a WSGI or ASGI application as an outcome, without a line in the application.

What: two wrappers. A request is good unless it raises or its status is 500 or more; its duration, to the last byte of the
body, is the value in ms; method, status class and a route of the host's choice are its labels; its `traceparent` is the
trace of what is measured until the application has answered (WSGI: until it has handed over its body). Why: it is the first SLO that anybody wants. They refuse to guess a route: a
path holds ids and people's names, and would make a series each; without `route` there is no such label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter

from tocsin import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, MutableMapping
    from typing import Any

    from tocsin.client import Client

    #: What the server hands over for a request -> the route's name, such as /cart/{id}; a small set of names.
    Route = Callable[[MutableMapping[str, Any]], str]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
METRIC = "http.request"
BROKEN = 500  # status, from which on it is the server's fault


class Requests:
    """The outcome of one metric, by method, status class and route. Bound instruments are kept by the client."""

    def __init__(self, client: Client, metric: str, route: Route | None) -> None:
        self._client = client
        self._metric = metric
        self._route = route
        client.outcome(metric, "ms", method="GET", status="2xx")  # a bad name is an error here

    def done(self, asked: MutableMapping[str, Any], method: str, status: int, began: float) -> None:
        """Record one. Never raises: a route that does is left out."""
        took = (perf_counter() - began) * 1e3
        labels = {"method": method if method in METHODS else "other", "status": f"{status // 100}xx"}
        try:
            if self._route is not None:
                labels["route"] = self._route(asked)
            self._client.outcome(self._metric, "ms", **labels).observe(status < BROKEN, took)
        except Exception:  # noqa: BLE001 - the host's own function, or a label it made: the request must not notice
            labels.pop("route", None)
            self._client.outcome(self._metric, "ms", **labels).observe(status < BROKEN, took)


class WSGI:
    """`WSGI(application, client)` is the application, measured. Raises InvalidName."""

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        client: Client,
        metric: str = METRIC,
        route: Route | None = None,
    ) -> None:
        self._application = application
        self._requests = Requests(client, metric, route)

    def __call__(self, environ: MutableMapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """As the application."""
        began, status = perf_counter(), [BROKEN]

        def started(line: str, *rest: Any) -> Any:
            status[0] = int(line[:3]) if line[:3].isdigit() else BROKEN
            return start_response(line, *rest)

        def done(ok: bool) -> None:
            self._requests.done(environ, environ.get("REQUEST_METHOD", ""), status[0] if ok else BROKEN, began)

        with trace.within_trace(environ.get("HTTP_TRACEPARENT")):
            try:
                body = self._application(environ, started)
            except Exception:
                done(ok=False)
                raise
        return _Body(body, done, environ.get("HTTP_TRACEPARENT"))


class _Body:
    """A response's body; done when it is exhausted, fails or is closed, whatever comes first."""

    def __init__(self, body: Iterable[bytes], done: Callable[[bool], None], header: str | None) -> None:
        self._body = body
        self._done: Callable[[bool], None] | None = done
        self._header = header

    def _finish(self, ok: bool) -> None:
        done, self._done = self._done, None
        if done is not None:
            with trace.within_trace(self._header):
                done(ok)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception:
            self._finish(ok=False)
            raise
        self._finish(ok=True)

    def close(self) -> None:
        """The server calls this at the end, or when its client went away."""
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._finish(ok=True)


class ASGI:
    """`ASGI(application, client)` is the application, measured; only its HTTP requests are. Raises InvalidName.

    With `close` the client is closed when the server shuts down, within its exit deadline.
    """

    def __init__(
        self,
        application: Callable[..., Awaitable[None]],
        client: Client,
        metric: str = METRIC,
        route: Route | None = None,
        close: bool = True,
    ) -> None:
        self._application = application
        self._client = client
        self._requests = Requests(client, metric, route)
        self._close = close

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """As the application."""
        if scope["type"] == "lifespan" and self._close:
            await self._application(scope, receive, self._closing(send))
        elif scope["type"] != "http":
            await self._application(scope, receive, send)
        else:
            await self._measured(scope, receive, send)

    async def _measured(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        began, status = perf_counter(), BROKEN

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        header = dict(scope.get("headers") or ()).get(b"traceparent")
        with trace.within_trace(header):
            try:
                await self._application(scope, receive, sent)
            except Exception:
                self._requests.done(scope, scope.get("method", ""), BROKEN, began)
                raise
            self._requests.done(scope, scope.get("method", ""), status, began)

    def _closing(self, send: Any) -> Any:
        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                import asyncio

                await asyncio.to_thread(self._client.close)
            await send(message)

        return sent
