"""The access log says who and what, and never how they got in."""

from __future__ import annotations

from structlog.testing import capture_logs

from gateway.accesslog import AccessLog
from gateway.answers import as_json
from gateway.door import Door, Route, anybody
from tests.gateway.making import listening, send

SECRET = "tck_web_hunter2"


async def lines(which: str, path: str) -> list[dict]:
    async def work(request, identity):
        return as_json(200, {})

    with capture_logs() as logs:
        async with listening(Door({"/known": Route("POST", work)}, anybody, AccessLog(which))) as (host, port, _):
            await send(f"http://{host}:{port}{path}?key={SECRET}", b"abc", Authorization=f"Bearer {SECRET}")
    return logs


async def test_a_line_has_route_status_and_who_but_no_secret():
    (line,) = await lines("all", "/known")
    assert (line["method"], line["route"], line["status"], line["bytes"], line["who"]) == (
        "POST", "/known", 200, 3, "anybody"
    )  # fmt: skip
    assert "hunter2" not in repr(line)


async def test_a_path_that_is_no_route_is_not_repeated():
    (line,) = await lines("all", f"/{SECRET}")
    assert (line["route"], line["status"]) == ("other", 404)
    assert "hunter2" not in repr(line)


async def test_which_lines_are_written():
    assert await lines("failures", "/known") == await lines("none", "/nothing") == []
    assert len(await lines("failures", "/nothing")) == 1
