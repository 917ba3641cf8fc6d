"""Tokens for Faust's consumer: kept as long as they hold, asked for again before they end, never taken from a bad answer."""

from __future__ import annotations

import asyncio
import time

import pytest

from access.security import KafkaSecurity
from streams import credentials
from streams.credentials import NoToken, Tokens, _access_token
from tests.access.test_tokens import unsigned


def bearer(**given) -> KafkaSecurity:
    return KafkaSecurity(kafka_protocol="sasl_ssl", kafka_mechanism="OAUTHBEARER", **given)


def test_without_security_there_are_none():
    assert credentials.of(KafkaSecurity()) is None


async def test_a_file_is_read_again_when_most_of_the_tokens_life_is_over(tmp_path, monkeypatch):
    (tmp_path / "token").write_text(first := unsigned(exp=time.time() + 100, jti=1))
    tokens = Tokens(bearer(kafka_token_file=tmp_path / "token"))
    assert await tokens.token() == first
    (tmp_path / "token").write_text(second := unsigned(exp=time.time() + 100, jti=2))
    assert await asyncio.gather(tokens.token(), tokens.token()) == [first, first]
    now = time.monotonic()
    monkeypatch.setattr(credentials.time, "monotonic", lambda: now + 81)
    assert await tokens.token() == second


async def test_an_endpoint_that_is_away_is_told():
    tokens = Tokens(
        bearer(kafka_token_url="http://127.0.0.1:9/token", kafka_client_id="c", kafka_client_secret="hunter2")
    )
    with pytest.raises(NoToken, match=r"127\.0\.0\.1:9") as told:
        await tokens.token()
    assert "hunter2" not in str(told.value)


async def test_a_file_that_is_gone_is_a_failed_connection_and_nothing_worse(tmp_path):
    (tmp_path / "token").write_text("t")
    tokens = Tokens(bearer(kafka_token_file=tmp_path / "token"))
    (tmp_path / "token").unlink()
    with pytest.raises(ConnectionError, match="token"):
        await tokens.token()


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"{}", b'{"access_token": 7}', b'{"access_token": ""}'])
def test_an_answer_without_a_token_is_none(body):
    with pytest.raises(NoToken):
        _access_token(body)
    assert _access_token(b'{"access_token": "t"}') == "t"
