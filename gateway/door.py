"""Door: from a request to its route, and from whatever happens there to one answer.

What: the table of routes, the order of the steps (route, method, credentials, work), the access log and the counters.
Why: each route then holds its protocol and nothing else, and no path leads past the log. It refuses to let an error's
text out: what nobody expected is 500 with one word.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from gateway import selfmetrics
from gateway.accesslog import AccessLog
from gateway.answers import refusal_answer
from gateway.cors import allowed, preflight
from gateway.identity import ANYBODY, Identity
from gateway.refusal import Refusal

log = structlog.get_logger(__name__)

Work = Callable[[web.BaseRequest, Identity], Awaitable[web.StreamResponse]]
Authenticate = Callable[[web.BaseRequest], Awaitable[Identity]]


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """One path: its method, its work, and how its refusals look. `open`: no credentials are asked for.

    A path that ends with a slash is that of everything directly below it.
    """

    method: str
    work: Work
    also: tuple[str, ...] = ()  # further methods
    open: bool = False
    browsers: bool = False  # whether web pages of known origins may read its answers
    refused: Callable[[web.BaseRequest, Refusal], web.Response] = lambda _, refusal: refusal_answer(refusal)


async def anybody(request: web.BaseRequest) -> Identity:
    """Where no credentials are asked for."""
    return ANYBODY


class Door:
    """What a Listener calls for each request."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        authenticate: Authenticate,
        access: AccessLog,
        knows_origin: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._routes = routes
        self._authenticate = authenticate
        self._access = access
        self._knows_origin = knows_origin

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer; never raises but for a lost connection."""
        began = time.monotonic()
        name = request.path if request.path in self._routes else request.path.rpartition("/")[0] + "/"
        route = self._routes.get(name)
        name = name if route else "other"
        who: list[str] = []
        if route is not None and route.browsers and request.method == "OPTIONS":
            answer: web.StreamResponse = preflight(route.method)
        else:
            answer = await self._answer(request, route, who)
        origin = request.headers.get("Origin", "")
        if route is not None and route.browsers and origin and self._knows_origin(origin):
            answer.headers.update(allowed(origin))
        seconds = time.monotonic() - began
        selfmetrics.REQUESTS.labels(name, answer.status).inc()
        selfmetrics.SECONDS.labels(name).observe(seconds)
        self._access.wrote(
            _printable(request.method), name, answer.status, seconds, request.content_length or 0, "".join(who),
            request.remote or "",
        )  # fmt: skip
        return answer

    async def _answer(self, request: web.BaseRequest, route: Route | None, who: list[str]) -> web.StreamResponse:
        if route is None:
            return refusal_answer(Refusal(404, "path", "there is nothing here"))
        try:
            if request.method not in (route.method, *route.also):
                raise Refusal(405, "method", f"{route.method} is expected")
            identity = ANYBODY if route.open else await self._authenticate(request)
            who.append("" if route.open else identity.name)
            return await route.work(request, identity)
        except Refusal as refusal:
            selfmetrics.REFUSALS.labels(refusal.reason).inc()
            answer = route.refused(request, refusal)
            if refusal.status == 405:
                answer.headers["Allow"] = ", ".join((route.method, *route.also))
            return answer
        except ConnectionError:  # nobody is there to answer to
            raise
        except Exception:
            log.exception("request_failed", route=request.path)
            return route.refused(request, Refusal(500, "internal", "the gateway failed; it has written down why"))


def _printable(method: str) -> str:
    return method if method.isalpha() and len(method) <= 10 else "other"
