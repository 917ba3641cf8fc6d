"""Bearer tokens: JWTs whose keys are fetched from where the issuer publishes them.

What: signature by a key of the JWKS, issuer, audience, expiry and scope are checked; tenant and source come out of
claims. Why: an organisation that has an identity provider wants no second list of keys. It refuses every algorithm that
is not configured, symmetric ones always (the public key would be the secret), and to fetch keys more often than the pause
allows, whatever key ids strangers make up.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable, Mapping

import aiohttp
import jwt
import structlog

from gateway.identity import Identity
from gateway.limits import JWKS_AGE_S, JWKS_BYTES, JWKS_PAUSE_S, JWKS_TIMEOUT_S, TOKEN_LEEWAY_S
from gateway.refusal import Refusal, busy

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What a token must say, and where it says who it is."""

    jwks_url: str
    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    tenant_claim: str
    source_claim: str
    prefix_claim: str  # "": a token never has more than one source
    scope: str  # "": none is asked for


class Bearer:
    """Checks tokens. `now` in seconds since the epoch."""

    def __init__(self, terms: Terms, now: Callable[[], float] = time.time) -> None:
        self._terms = terms
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked = float("-inf")
        self._read = float("-inf")
        self._asking = asyncio.Lock()

    async def find(self, token: str) -> Identity:
        """Whose token it is. Raises Refusal: 401 for a bad one, 503 while the issuer's keys cannot be had."""
        try:
            head = jwt.get_unverified_header(token)
            name, algorithm = str(head.get("kid", "")), head.get("alg")
            if algorithm not in self._terms.algorithms:
                raise Refusal(401, "token", "the token's algorithm is not accepted")
            key = await self._key(name)
            claims = jwt.decode(
                token, key.key, algorithms=[algorithm], issuer=self._terms.issuer, audience=self._terms.audience,
                leeway=TOKEN_LEEWAY_S, options={"require": ["exp", "iss", "aud"]},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refusal(401, "token", f"the token is not accepted: {type(error).__name__}") from error
        return self._identity(claims)

    def _identity(self, claims: Mapping[str, object]) -> Identity:
        terms = self._terms
        scope = claims.get("scope", "")
        scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset(map(str, scope or ()))  # type: ignore[call-overload]
        if terms.scope and terms.scope not in scopes:
            raise Refusal(403, "scope", f"the token lacks the scope {terms.scope}")
        tenant = claims.get(terms.tenant_claim)
        if not isinstance(tenant, str) or not tenant:
            raise Refusal(403, "tenant", f"the token has no claim {terms.tenant_claim}")
        prefix = claims.get(terms.prefix_claim) if terms.prefix_claim else None
        if isinstance(prefix, str) and prefix:
            return Identity(f"token:{prefix}", tenant, prefix=prefix)
        source = claims.get(terms.source_claim)
        if not isinstance(source, str) or not source:
            raise Refusal(403, "source", f"the token has no claim {terms.source_claim}")
        return Identity(f"token:{source}", tenant, source=source)

    async def _key(self, name: str) -> jwt.PyJWK:
        """The issuer's key of this id. Raises Refusal."""
        if name not in self._keys or self._now() - self._read > JWKS_AGE_S:
            async with self._asking:
                await self._refresh(name)
        found = self._keys.get(name)
        if found is None:
            raise Refusal(401, "token", "the token's key is not one of the issuer's")
        return found

    async def _refresh(self, name: str) -> None:
        """Fetch the keys, unless somebody just did. Old ones serve on while the issuer is away."""
        if self._now() - self._asked < JWKS_PAUSE_S:
            if not self._keys:
                raise busy("jwks", "the issuer's keys cannot be had at the moment", 5)
            return
        self._asked = self._now()
        try:
            self._keys = keys_of(await fetched(self._terms.jwks_url))
            self._read = self._now()
        except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            log.warning("jwks_failed", error=type(error).__name__)
            if not self._keys:
                raise busy("jwks", "the issuer's keys cannot be had at the moment", 5) from error


def keys_of(found: object) -> dict[str, jwt.PyJWK]:
    """Public signing keys by id. Raises ValueError or PyJWTError."""
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise ValueError("not a JWKS")  # noqa: TRY004  # what came over the wire, not a caller's mistake
    good: dict[str, jwt.PyJWK] = {}
    for one in found["keys"]:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        key = jwt.PyJWK.from_dict(one)
        good[str(one.get("kid", ""))] = key
    return good


async def fetched(url: str) -> object:
    """JSON of a URL, bounded in time and size, without following a redirect. Raises ClientError, TimeoutError, ValueError."""
    limit = aiohttp.ClientTimeout(total=JWKS_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=limit) as session, session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:
            raise ValueError(f"the issuer answers {answer.status}")
        body = await answer.content.read(JWKS_BYTES + 1)
        while len(body) <= JWKS_BYTES and (more := await answer.content.read(JWKS_BYTES)):
            body += more
        if len(body) > JWKS_BYTES:
            raise ValueError("the issuer's keys are too long")
        return json.loads(body)
