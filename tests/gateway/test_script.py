"""The page's script: its size is a promise."""

from __future__ import annotations

from gateway.accesslog import AccessLog
from gateway.door import Door, Route, anybody
from gateway.script import PATH, Script
from tests.gateway.making import listening, send


def test_it_is_below_three_kilobytes() -> None:
    assert len(Script().body) < 3_072


async def test_browsers_keep_it() -> None:
    async with listening(Door({PATH: Route("GET", Script(), open=True)}, anybody, AccessLog("none"))) as (
        host,
        port,
        _,
    ):
        url = f"http://{host}:{port}{PATH}"
        first = await send(url, None, method="GET")
        headers = {name.lower(): value for name, value in first.headers.items()}
        assert (first.status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        assert first.body == Script().body
        assert "max-age" in headers["cache-control"]
        assert headers["cross-origin-resource-policy"] == "cross-origin"
        again = await send(url, None, method="GET", **{"If-None-Match": headers["etag"]})
        assert (again.status, again.body) == (304, b"")
