"""Health: `/livez`, `/readyz`, `/metrics`, on an address of their own.

What: live, the event loop answers; ready, a broker or room in the spool is there and nobody has asked us to end. Why: a
balancer must take a gateway out that would refuse everything, and nothing must restart it for that. It refuses to stand on the public
port: metrics tell strangers more than they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from gateway import selfmetrics
from gateway.answers import as_json
from gateway.door import Route
from gateway.identity import Identity


def routes(
    not_ready: Callable[[], str],
    refresh: Callable[[], None],
    more: Callable[[], Mapping[str, object]] = dict,
) -> Mapping[str, Route]:
    """The three. `not_ready` answers why not, "" when ready; `refresh` brings gauges up to date; `more`: what /readyz
    tells beside it."""

    async def livez(request: web.BaseRequest, identity: Identity) -> web.Response:
        return as_json(200, {"live": True})

    async def readyz(request: web.BaseRequest, identity: Identity) -> web.Response:
        why = not_ready()
        return as_json(503 if why else 200, {"ready": not why, "why": why, **more()})

    async def metrics(request: web.BaseRequest, identity: Identity) -> web.Response:
        refresh()
        return web.Response(body=selfmetrics.exposition(), headers={"Content-Type": selfmetrics.CONTENT_TYPE})

    return {
        "/livez": Route("GET", livez, open=True),
        "/readyz": Route("GET", readyz, open=True),
        "/metrics": Route("GET", metrics, open=True),
    }
