"""Tokens: only the issuer's, only for us, only with the algorithms that were named."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import time

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.bearer import Bearer, Terms
from gateway.limits import JWKS_AGE_S, JWKS_BYTES, JWKS_PAUSE_S
from gateway.refusal import Refusal
from tests.gateway.making import listening

RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
OTHER = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {
    "iss": "https://issuer",
    "aud": "tocsin",
    "tenant": "fleet",
    "sub": "car-7",
    "scope": "openid telemetry:write",
}
TERMS = Terms("", "https://issuer", "tocsin", ("RS256", "ES256"), "tenant", "sub", "", "telemetry:write")


def jwk(key, name: str) -> dict:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return json.loads(algorithm.to_jwk(key.public_key())) | {"kid": name, "use": "sig"}


def token(key=RSA, name: str = "one", algorithm: str = "RS256", **changed) -> str:
    claims = CLAIMS | {"exp": time.time() + 60} | changed
    claims = {claim: value for claim, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": name})


class Issuer:
    """Publishes keys, counts who asks, and fails when told."""

    def __init__(self) -> None:
        self.keys = [jwk(RSA, "one"), jwk(EC, "ec"), {"kty": "RSA", "use": "enc", "kid": "enc", "n": "AQ", "e": "AQ"}]
        self.asked = 0
        self.status = 200
        self.body: bytes | None = None

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.asked += 1
        return web.Response(status=self.status, body=self.body or json.dumps({"keys": self.keys}).encode())


class Moved:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.by = 0.0

    def __call__(self) -> float:
        return time.time() + self.by


@contextlib.asynccontextmanager
async def checking(**changed):
    issuer, clock = Issuer(), Moved()
    async with listening(issuer) as (host, port, _):
        terms = dataclasses.replace(TERMS, jwks_url=f"http://{host}:{port}/jwks", **changed)
        yield Bearer(terms, clock), issuer, clock


async def refused(bearer: Bearer, text: str) -> int:
    with pytest.raises(Refusal) as caught:
        await bearer.find(text)
    assert text[-20:] not in caught.value.detail
    return caught.value.status


async def test_a_good_token_says_who_it_is():
    async with checking() as (bearer, issuer, _):
        found = await bearer.find(token())
        assert (found.tenant, found.source, found.prefix) == ("fleet", "car-7", None)
        assert (await bearer.find(token(EC, "ec", "ES256"))).source == "car-7"
        assert issuer.asked == 1


async def test_a_family_of_sources_out_of_a_claim():
    async with checking(prefix_claim="family") as (bearer, _, _):
        assert (await bearer.find(token(family="car-"))).prefix == "car-"
        assert (await bearer.find(token())).prefix is None


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other"}, {"iss": None}, {"aud": "other"}, {"aud": None}, {"exp": time.time() - 3_600},
        {"exp": None}, {"nbf": time.time() + 3_600}, {"key": OTHER}, {"name": "none"}, {"algorithm": "RS512"},
        {"name": "enc"},
    ],
    ids=str,
)  # fmt: skip
async def test_tokens_that_are_not_accepted(changed):
    async with checking() as (bearer, _, _):
        assert await refused(bearer, token(**changed)) == 401


@pytest.mark.parametrize(
    "changed", [{"scope": "openid"}, {"scope": None}, {"tenant": None}, {"tenant": 7}, {"sub": None}]
)
async def test_tokens_that_are_good_and_not_enough(changed):
    async with checking() as (bearer, _, _):
        with pytest.raises(Refusal) as caught:
            await bearer.find(token(**changed))
        assert caught.value.status in (401, 403), "a claim of a wrong kind may make it no token at all"


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_no_signature_and_the_public_key_as_a_secret():
    async with checking() as (bearer, _, _):
        claims = part(CLAIMS | {"exp": time.time() + 60})
        assert await refused(bearer, f"{part({'alg': 'none', 'kid': 'one'})}.{claims}.") == 401
        signed = f"{part({'alg': 'HS256', 'kid': 'one'})}.{claims}"
        public = RSA.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        mark = base64.urlsafe_b64encode(hmac.new(public, signed.encode(), hashlib.sha256).digest()).decode()
        assert await refused(bearer, f"{signed}.{mark.rstrip('=')}") == 401


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "....", "é" * 50, "e30.e30.", part([]) + ".e30.x", "\ud800"])
async def test_what_is_no_token(text):
    async with checking() as (bearer, issuer, _):
        with pytest.raises(Refusal):
            await bearer.find(text)
        assert issuer.asked == 0, "noise makes us ask nobody"


async def test_a_new_key_of_the_issuer_is_fetched_and_strangers_cannot_make_us_ask():
    async with checking() as (bearer, issuer, clock):
        await bearer.find(token())
        issuer.keys.append(jwk(OTHER, "two"))
        for _ in range(20):
            assert await refused(bearer, token(OTHER, "two")) == 401, "within the pause"
        assert issuer.asked == 1
        clock.by = JWKS_PAUSE_S + 1
        assert (await bearer.find(token(OTHER, "two"))).source == "car-7"
        assert issuer.asked == 2


async def test_an_issuer_that_is_away():
    async with checking() as (bearer, issuer, clock):
        issuer.status = 500
        assert await refused(bearer, token()) == 503
        issuer.status = 200
        clock.by += JWKS_PAUSE_S + 1
        assert await bearer.find(token())
        issuer.status = 500
        clock.by += JWKS_AGE_S + 1
        assert await bearer.find(token(exp=time.time() + 10_000)), "old keys serve on"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"keys": 7}', b" " * (JWKS_BYTES + 1), b'{"keys": [{"kty": "RSA"}]}'])
async def test_keys_that_cannot_be_read(body):
    async with checking() as (bearer, issuer, _):
        issuer.body = body
        assert await refused(bearer, token()) == 503
