"""Credentials: how Faust's own consumer gets to Kafka, out of the same settings as librdkafka's clients.

What: TLS context and SASL as aiokafka takes them, and a source of tokens for OAUTHBEARER, which aiokafka does not bring.
Why: a worker has both kinds of clients, and they must be the same principal. It refuses to keep a token beyond its
life, and to show one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import faust
from aiokafka.abc import AbstractTokenProvider

from access import tokens
from access.limits import ANSWER_BYTES, ANSWER_S, EARLY
from access.security import BEARER, SASL_SSL, KafkaSecurity, secret_in


class NoToken(ConnectionError):
    """There is no token at the moment. aiokafka takes it for a connection that failed, and tries again."""


def of(security: KafkaSecurity) -> Any:
    """Faust's `broker_credentials`; None without security. Raises OSError, ValueError."""
    context = security.context()
    if context is None:
        return None
    if security.kafka_protocol != SASL_SSL:
        return faust.SSLCredentials(context)
    if security.kafka_mechanism == BEARER:
        return faust.OAuthCredentials(oauth_cb=Tokens(security), ssl_context=context)
    return faust.SASLCredentials(
        username=security.kafka_username,
        password=security.secret("kafka_password"),
        mechanism=security.kafka_mechanism,
        ssl_context=context,
    )


class Tokens(AbstractTokenProvider):
    """The token of the moment: out of its file, or from the endpoint, with the client's credentials."""

    def __init__(self, security: KafkaSecurity) -> None:
        self._security = security
        self._token, self._until = "", 0.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """A token that holds. Raises NoToken."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._token = await self._fresh()
                now = time.time()
                self._until = time.monotonic() + EARLY * (tokens.ends_at(self._token, now) - now)
            return self._token

    async def _fresh(self) -> str:
        path = self._security.kafka_token_file
        try:
            return secret_in(path) if path is not None else await self._asked()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoToken(f"{path or self._security.kafka_token_url}: {type(error).__name__}: {error}") from error

    async def _asked(self) -> str:
        """Client credentials (RFC 6749, section 4.4)."""
        security = self._security
        who = f"{security.kafka_client_id}:{security.secret('kafka_client_secret')}".encode()  # as librdkafka writes it
        headers = {"Authorization": f"Basic {base64.b64encode(who).decode()}"}
        form = {"grant_type": "client_credentials"} | ({"scope": security.kafka_scope} if security.kafka_scope else {})
        context = ssl.create_default_context(cafile=security.kafka_token_ca_file)
        bound = aiohttp.ClientTimeout(total=ANSWER_S)
        async with (
            aiohttp.ClientSession(timeout=bound) as session,
            session.post(
                security.kafka_token_url, data=form, headers=headers, ssl=context, allow_redirects=False
            ) as answer,
        ):
            if answer.status != 200:
                raise NoToken(f"answered {answer.status}")
            body = b"".join([piece async for piece in _bounded(answer.content)])
        return _access_token(body)


async def _bounded(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    left = ANSWER_BYTES
    async for piece in content.iter_any():
        left -= len(piece)
        if left < 0:
            raise NoToken(f"answered more than {ANSWER_BYTES} bytes")
        yield piece


def _access_token(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    token = found.get("access_token") if isinstance(found, dict) else None
    if not isinstance(token, str) or not token:
        raise NoToken("answered without an access_token")
    return token
