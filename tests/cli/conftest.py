"""Fixtures of the command line's tests: a log in memory in the broker's place, and the app under a runner."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from cli import reading
from cli.main import app
from tests.cli.build import FakeLog, story

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("tail", "alerts")`: stdout, stderr and exit code, at 100 columns, with nothing in the environment."""
    for name in ("TOCSIN_BOOTSTRAP", "KAFKA_BOOTSTRAP", "TOCSIN_PARTITIONS", "TOCSIN_REGISTRY_URL", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, list(arguments), prog_name="tocsin", catch_exceptions=False)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    """The log that every command reads."""
    found = story()
    monkeypatch.setattr(reading, "opened", lambda bootstrap: found)
    return found
