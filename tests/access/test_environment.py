"""Settings out of the environment: every mistake at once, no secret among them."""

from __future__ import annotations

import traceback

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from access.environment import BadSettings, read


class Some(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SOME_")

    number: int = 1
    word: str = Field("a", pattern="^[a-z]$")
    password: SecretStr = SecretStr("")
    sentry_dsn: str = Field("", pattern="^x?$")


def test_the_environment_is_read_and_code_wins(monkeypatch):
    monkeypatch.setenv("SOME_NUMBER", "7")
    assert read(Some, "it", {}).number == 7
    assert read(Some, "it", {"number": 8}).number == 8


def test_every_mistake_is_named_and_no_secret_repeated(monkeypatch):
    monkeypatch.setenv("SOME_NUMBER", "many")
    monkeypatch.setenv("SOME_WORD", "long")
    monkeypatch.setenv("SOME_SENTRY_DSN", "https://hunter2@example.org/1")
    with pytest.raises(BadSettings) as bad:
        read(Some, "it", {})
    assert len(bad.value.problems) == 3
    assert str(bad.value).startswith("it can't start")
    assert "SOME_NUMBER" in str(bad.value)
    assert "found 'many'" in str(bad.value)
    assert "hunter2" not in "".join(traceback.format_exception(bad.value))
