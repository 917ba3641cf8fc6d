"""The description is that of the routes, and the running gateway keeps to it, whatever it is sent."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from gateway.openapi import OPERATIONS, OTLP, PATH, described
from gateway.server import running
from tests.gateway.making import send, settings
from tests.gateway.test_intake import Kept

ROOT = Path(__file__).resolve().parents[2]
HOOKS = "tests.gateway.schemathesis_bodies"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method",
)  # fmt: skip
ROUTES = {path for path in OPERATIONS if path not in OTLP[1:]}


async def test_it_has_every_route_and_no_other():
    """Without a broker: the description does not hang on one."""
    async with running(settings(), "127.0.0.1:1") as gateway:
        told = (await send(gateway.url + PATH, None, method="GET")).json()
        assert {path.removesuffix("{upload}") for path in told["paths"]} >= ROUTES
        for path, item in told["paths"].items():
            for method in set(item) - {"parameters"}:
                got = await send(gateway.url + path, None, method=method.upper())
                assert got.status not in (405, 500), f"{method} {path} is described, and the door does not know it"
            unknown = await send(gateway.url + path, None, method="PUT")
            assert unknown.status == 405
            allowed = {name.strip().lower() for name in unknown.headers["Allow"].split(",")}
            assert allowed == set(item) - {"parameters"}, f"{path} takes what is not described"


def test_a_route_that_the_table_does_not_know_is_refused():
    with pytest.raises(KeyError):
        described(["/v1/other"])


async def test_schemathesis_finds_nothing(monkeypatch):
    """Kafka is not what is asked about here: every record is acknowledged at once."""
    pytest.importorskip("schemathesis", reason="make env installs it")
    async with running(settings(access_log="none"), "127.0.0.1:1") as gateway:
        monkeypatch.setattr(gateway.delivery, "publish", Kept().publish)
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", gateway.url + PATH, f"--checks={','.join(CHECKS)}",
            "--max-examples=25", "--seed=1", "--generation-database=none", "--phases=examples,coverage,fuzzing",
            "--request-timeout=60", "--no-color",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, told.decode()[-8_000:]
        assert gateway.budget.used == 0
