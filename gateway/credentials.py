"""Credentials: from what a request shows to an identity, or to 401 and 403.

What: a key or a token in `Authorization`, a key in the URL for those who can set no header, a client certificate; and the
web origin that a browser adds. Why: one place decides who is in, and every route asks it. It refuses keys in a URL unless
they are made for browsers (a URL is written into other people's logs), and a browser's request whose origin is not named.
"""

from __future__ import annotations

import ssl

from aiohttp import web

from gateway.bearer import Bearer
from gateway.certificate import identity_of
from gateway.identity import ANYBODY, WRITE, Identity
from gateway.keys import MARK, Keys
from gateway.refusal import Refusal


class Credentials:
    """Who is in. With none of the three, everybody is ANYBODY. `origins`: of browsers without a key of their own."""

    def __init__(
        self, keys: Keys | None, bearer: Bearer | None, origins: frozenset[str], *, certificates: bool = False
    ) -> None:
        self._keys = keys
        self._bearer = bearer
        self._origins = origins
        self._certificates = certificates

    async def __call__(self, request: web.BaseRequest) -> Identity:
        """The identity. Raises Refusal."""
        identity = await self._shown(request)
        if WRITE not in identity.scopes:
            raise Refusal(403, "scope", f"these credentials lack the scope {WRITE}")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in (identity.origins or self._origins):
            raise Refusal(403, "origin", "these credentials are not for this web origin")
        return identity

    def knows_origin(self, origin: str) -> bool:
        """Whether some credentials may be used from it: what a preflight, which shows none, can be told."""
        return origin in self._origins or (self._keys is not None and origin in self._keys.origins())

    async def _shown(self, request: web.BaseRequest) -> Identity:
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        if kind:
            if kind.lower() != "bearer":
                raise Refusal(401, "credentials", "a bearer token or an API key is expected")
            return await self._bearer_of(secret.strip())
        if "key" in request.query:
            return self._key_of(request.query["key"], in_url=True)
        if self._certificates and (certificate := _certificate(request)):
            return identity_of(certificate)
        if self._keys is None and self._bearer is None and not self._certificates:
            return ANYBODY
        raise Refusal(401, "credentials", "credentials are needed")

    async def _bearer_of(self, secret: str) -> Identity:
        if secret.startswith(MARK) or self._bearer is None:
            return self._key_of(secret, in_url=False)
        return await self._bearer.find(secret)

    def _key_of(self, text: str, *, in_url: bool) -> Identity:
        found = self._keys.find(text) if self._keys is not None else None
        if found is None or (in_url and not found.origins):
            raise Refusal(401, "credentials", "the key is not known, or over, or not for use in a URL")
        return found


def _certificate(request: web.BaseRequest) -> dict[str, object]:
    """The verified certificate of the client; empty without one."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    return dict(tls.getpeercert() or {}) if isinstance(tls, ssl.SSLObject) else {}
