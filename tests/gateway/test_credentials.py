"""Who is in, over HTTP: keys, URLs, origins, and that nobody speaks for another."""

from __future__ import annotations

import json

import pytest

from gateway.accesslog import AccessLog
from gateway.credentials import Credentials
from gateway.door import Door, Route
from gateway.intake import Intake
from gateway.keys import Keys, made
from gateway.large import Large
from gateway.memory import Budget
from gateway.parts import ONE
from gateway.telemetry import PATH, Telemetry
from tests.gateway.making import BASE_MS, batch, listening, send
from tests.gateway.test_intake import Kept

CAR, WEB, READER = made("car-7"), made("shop-web"), made("reader")
SHOP = "https://shop.example"
BEACON = json.dumps(
    {"source": "shop-web-1", "measurements": [{"metric": "m", "value": 1, "time_ms": BASE_MS}]}
).encode()


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text(
        f"""keys:
  - {{id: car-7, hash: {CAR.hash}, tenant: fleet, source: car-7}}
  - {{id: shop-web, hash: {WEB.hash}, tenant: shop, prefix: shop-web-, origins: ["{SHOP}"]}}
  - {{id: reader, hash: {READER.hash}, tenant: fleet, source: car-8, scopes: [telemetry:read]}}
""",
        encoding="utf-8",
    )
    return Keys(path)


@pytest.fixture
async def url(kept, keys):
    who = Credentials(keys, None, frozenset())
    route = Route("POST", Telemetry(Intake(kept), Budget(1 << 20), Large()), browsers=True)
    async with listening(Door({PATH: route}, who, AccessLog("none"), who.knows_origin)) as (host, port, _):
        yield f"http://{host}:{port}{PATH}"


async def test_a_key_sends_for_its_own_source_and_its_tenant_is_on_the_record(url, kept):
    got = await send(url, batch("car-7"), ONE, Authorization=f"Bearer {CAR.text}")
    assert got.json()["stored"] == 1
    assert kept.records[0][2] == [("tenant", b"fleet")]


async def test_a_key_does_not_send_for_another_source(url, kept):
    for source in ("car-8", "shop-web-1", "car-77"):
        got = await send(url, batch(source), ONE, Authorization=f"Bearer {CAR.text}")
        assert got.json()["verdicts"][0]["reason"] == "source"
    assert not kept.records


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer tck_car-7_x"}, 401),
        ({"Authorization": f"Basic {CAR.text}"}, 401),
        ({"Authorization": "Bearer e30.e30.x"}, 401),
        ({"Authorization": f"Bearer {READER.text}"}, 403),
        ({"Authorization": f"Bearer {CAR.text}", "Origin": SHOP}, 403),
        ({"Authorization": f"Bearer {WEB.text}", "Origin": "https://other.example"}, 403),
    ],
)
async def test_who_is_not_in(url, kept, headers, status):
    got = await send(url, batch("car-7"), ONE, **headers)
    assert got.status == status
    assert ("WWW-Authenticate" in got.headers) == (status == 401)
    assert not kept.records
    assert "Access-Control-Allow-Origin" not in got.headers or headers.get("Origin") == SHOP


async def test_a_beacon_has_its_key_in_the_url(url, kept):
    got = await send(f"{url}?key={WEB.text}", BEACON, "text/plain;charset=UTF-8", Origin=SHOP)
    assert got.json()["stored"] == 1
    assert got.headers["Access-Control-Allow-Origin"] == SHOP
    assert kept.records[0][0] == b"shop-web-1"


async def test_a_key_that_is_not_made_for_browsers_does_not_work_in_a_url(url, kept):
    assert (await send(f"{url}?key={CAR.text}", batch("car-7"), ONE)).status == 401
    assert not kept.records


@pytest.mark.parametrize(("origin", "known"), [(SHOP, True), ("https://other.example", False), ("null", False)])
async def test_a_preflight_is_answered_and_allows_known_origins_only(url, origin, known):
    got = await send(url, None, method="OPTIONS", Origin=origin, Access_Control_Request_Method="POST")
    assert got.status == 204
    assert got.headers.get("Access-Control-Allow-Origin") == (origin if known else None)
    assert got.headers["Vary"] == "Origin"


async def test_where_no_credentials_are_asked_for_a_foreign_page_is_not_let_in_either(kept):
    who = Credentials(None, None, frozenset({SHOP}))
    route = Route("POST", Telemetry(Intake(kept), Budget(1 << 20), Large()), browsers=True)
    async with listening(Door({PATH: route}, who, AccessLog("none"), who.knows_origin)) as (host, port, _):
        where = f"http://{host}:{port}{PATH}"
        assert (await send(where, BEACON, "text/plain", Origin="https://evil.example")).status == 403
        assert (await send(where, BEACON, "text/plain", Origin=SHOP)).status == 200
        assert (await send(where, batch(), ONE)).status == 200
