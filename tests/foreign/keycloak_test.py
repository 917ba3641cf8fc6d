"""A real Keycloak issues the tokens, and a gateway takes those that are meant for it, and no other.

Realms and clients are made through its admin API; the gateway's own time is moved where a test would have to wait for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import jwt
import pytest

from gateway.accesslog import AccessLog
from gateway.bearer import Bearer, Terms
from gateway.credentials import Credentials
from gateway.door import Door, Route
from gateway.intake import Intake
from gateway.large import Large
from gateway.limits import JWKS_PAUSE_S, TOKEN_LEEWAY_S
from gateway.memory import Budget
from gateway.telemetry import PATH, Telemetry
from local.keycloak import EmbeddedKeycloak
from tests.foreign import bring
from tests.gateway.making import Answer, batch, listening, send, until
from tests.gateway.test_intake import Kept

pytestmark = [bring.needs, pytest.mark.foreign, pytest.mark.timeout(420)]

AUDIENCE, SCOPE, SECRET = "tocsin", "telemetry:write", "a client's own words"
OURS, STRANGERS = "fleet", "strangers"
LIVES_S = 1


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKeycloak]:
    with EmbeddedKeycloak(tmp_path_factory.mktemp("keycloak")) as started:
        yield started


class Admin:
    """The admin API."""

    def __init__(self, keycloak: EmbeddedKeycloak) -> None:
        self._keycloak = keycloak

    async def call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self._keycloak.admin_token()}"}
        address = f"{self._keycloak.url}/admin/realms{path}"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, address, json=body) as answer,
        ):
            assert answer.status < 300, (method, path, answer.status, await answer.text())
            return await answer.json() if answer.content_type == "application/json" else None

    async def realm(self, name: str) -> None:
        """A realm with its scope and two clients: one that is meant for us and one that is not; and one in a hurry."""
        await self.call("POST", "", {"realm": name, "enabled": True, "accessTokenLifespan": 300})
        shown = {"include.in.token.scope": "true"}
        scope = {"name": SCOPE, "protocol": "openid-connect", "attributes": shown}
        await self.call("POST", f"/{name}/client-scopes", scope)
        await self.client(name, "car-7", AUDIENCE)
        await self.client(name, "car-8", "another")
        await self.client(name, "car-9", AUDIENCE, **{"access.token.lifespan": str(LIVES_S)})

    async def client(self, realm: str, name: str, audience: str, **attributes: str) -> None:
        told = {
            "access.token.claim": "true",
            "claim.value": "north",
            "claim.name": "tenant",
            "jsonType.label": "String",
        }
        mappers = [
            ("oidc-audience-mapper", {"included.custom.audience": audience, "access.token.claim": "true"}),
            ("oidc-hardcoded-claim-mapper", told),
        ]
        made = {
            "clientId": name, "secret": SECRET, "serviceAccountsEnabled": True, "standardFlowEnabled": False,
            "publicClient": False, "defaultClientScopes": [SCOPE], "attributes": attributes,
            "protocolMappers": [
                {"name": kind, "protocol": "openid-connect", "protocolMapper": kind, "config": config}
                for kind, config in mappers
            ],
        }  # fmt: skip
        await self.call("POST", f"/{realm}/clients", made)


async def token(keycloak: EmbeddedKeycloak, realm: str, client: str) -> str:
    """By client credentials, as a vehicle would ask."""
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": SECRET}
    address = f"{keycloak.realm(realm)}/protocol/openid-connect/token"
    async with aiohttp.ClientSession() as session, session.post(address, data=form) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["access_token"])


@pytest.fixture(scope="module")
def realms(keycloak: EmbeddedKeycloak) -> Admin:
    admin = Admin(keycloak)

    async def make() -> None:
        for name in (OURS, STRANGERS):
            await admin.realm(name)

    asyncio.run(make())
    return admin


@dataclasses.dataclass
class Gate:
    """A gateway behind tokens. `ahead_s`: how far its time is ahead, for pauses that nobody wants to wait for."""

    keycloak: EmbeddedKeycloak
    kept: Kept
    url: str = ""
    ahead_s: float = 0.0

    async def sends(self, shown: str, source: str = "car-7") -> Answer:
        """As a client does: what is 503 is sent again, since the issuer may be slow to say its keys."""
        while True:
            answer = await send(self.url, batch(source), Authorization=f"Bearer {shown}")
            if answer.status != 503:
                return answer
            self.ahead_s += JWKS_PAUSE_S + 1


@pytest.fixture
async def gate(keycloak: EmbeddedKeycloak, realms: Admin) -> AsyncIterator[Gate]:
    made = Gate(keycloak, Kept())
    issuer = keycloak.realm(OURS)
    terms = Terms(
        f"{issuer}/protocol/openid-connect/certs", issuer, AUDIENCE, ("RS256",), "tenant", "azp", "", SCOPE
    )  # fmt: skip
    credentials = Credentials(None, Bearer(terms, lambda: time.time() + made.ahead_s), frozenset())
    route = Route("POST", Telemetry(Intake(made.kept), Budget(64 << 20), Large()))
    async with listening(Door({PATH: route}, credentials, AccessLog("none"))) as (host, port, _):
        made.url = f"http://{host}:{port}{PATH}"
        yield made


async def test_a_token_is_accepted_for_its_own_source_and_tenant(gate: Gate) -> None:
    shown = await token(gate.keycloak, OURS, "car-7")
    answer = await gate.sends(shown)
    assert (answer.status, answer.json()["stored"]) == (200, 1)
    assert [(key, headers) for key, _, headers in gate.kept.records] == [(b"car-7", [("tenant", b"north")])]
    answer = await gate.sends(shown, source="car-8")
    assert (answer.status, answer.json()["verdicts"][0]["reason"]) == (200, "source")
    assert len(gate.kept.records) == 1


async def test_a_token_for_somebody_else_is_refused(gate: Gate) -> None:
    answer = await gate.sends(await token(gate.keycloak, OURS, "car-8"), "car-8")
    assert (answer.status, "Audience" in answer.body.decode()) == (401, True)
    assert not gate.kept.records


async def test_a_token_of_another_realm_is_refused(gate: Gate) -> None:
    assert (await gate.sends(await token(gate.keycloak, OURS, "car-7"))).status == 200
    answer = await gate.sends(await token(gate.keycloak, STRANGERS, "car-7"))
    assert (answer.status, len(gate.kept.records)) == (401, 1)


async def test_a_token_that_is_over_is_refused(gate: Gate) -> None:
    shown = await token(gate.keycloak, OURS, "car-9")
    assert (await gate.sends(shown, "car-9")).status == 200

    async def refused() -> bool:
        return (await gate.sends(shown, "car-9")).status == 401

    await until(refused, TOKEN_LEEWAY_S + 30)
    assert time.time() > jwt.decode(shown, options={"verify_signature": False})["exp"] + TOKEN_LEEWAY_S - 1


async def test_a_key_that_is_rotated_is_picked_up_and_the_old_one_goes(gate: Gate, realms: Admin) -> None:
    old = await token(gate.keycloak, OURS, "car-7")
    assert (await gate.sends(old)).status == 200
    realm = await realms.call("GET", f"/{OURS}")
    component = {
        "name": "younger", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
        "parentId": realm["id"], "config": {"priority": ["1000"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
    }  # fmt: skip
    await realms.call("POST", f"/{OURS}/components", component)
    new = await token(gate.keycloak, OURS, "car-7")
    kids = [jwt.get_unverified_header(shown)["kid"] for shown in (old, new)]
    assert kids[0] != kids[1]
    gate.ahead_s += JWKS_PAUSE_S + 1
    assert (await gate.sends(new)).status == 200
    assert (await gate.sends(old)).status == 200, "still published"
    providers = "org.keycloak.keys.KeyProvider"
    for one in await realms.call("GET", f"/{OURS}/components?type={providers}"):
        if one["name"] != "younger" and one["providerId"] == "rsa-generated":
            await realms.call("DELETE", f"/{OURS}/components/{one['id']}")
    gate.ahead_s += JWKS_PAUSE_S + 3_600
    assert (await gate.sends(new)).status == 200
    assert (await gate.sends(old)).status == 401
