"""`tocsin acls`: lines, JSON, roles that there are not; a broker that is away."""

from __future__ import annotations

import json
from collections.abc import Callable

from click.testing import Result

from streams import acls


def test_every_role_has_its_lines(run: Callable[..., Result]) -> None:
    found = run("acls")
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    heads = [line.partition(":")[0].removeprefix("# ") for line in lines if line.startswith("#")]
    assert heads == list(acls.roles())
    assert len(lines) - len(heads) == sum(len(role.grants) for role in acls.roles().values())
    assert any("--allow-principal User:gateway --operation Write --topic telemetry" in line for line in lines)


def test_a_role_for_a_principal_and_an_application(run: Callable[..., Result]) -> None:
    found = run("acls", "worker", "--principal", "User:CN=w", "--application", "shop").stdout
    assert "--allow-principal User:CN=w" in found
    assert "--group shop.state. --resource-pattern-type prefixed" in found
    assert "emitter" not in found


def test_json_for_programs(run: Callable[..., Result]) -> None:
    (role,) = json.loads(run("acls", "emitter", "--json").stdout)
    assert role["grants"] == [
        {"resource": "topic", "name": name, "pattern": "literal", "operations": ["Write"]}
        for name in ("telemetry", "logs")
    ]


def test_a_role_that_there_is_not(run: Callable[..., Result]) -> None:
    found = run("acls", "king")
    assert found.exit_code == 2
    assert "worker" in found.stderr


def test_a_broker_that_is_away_cannot_be_asked(run: Callable[..., Result], monkeypatch) -> None:
    monkeypatch.setattr("cli.acls.ANSWER_S", 0.3)
    found = run("acls", "emitter", "--check", "--bootstrap", "127.0.0.1:1")
    assert found.exit_code == 3
    assert "127.0.0.1:1" in found.stderr
