"""The surface: help as golden files, exit codes, nothing heavy at start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli import reading

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = (
    "", "demo", "up", "worker", "fleet", "gateway", "gateway-key", "topics", "topics list", "topics create", "topics describe", "validate", "acls", "slo", "tail",
    "logs", "explain", "ack", "resolve", "doctor",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help(run: Callable[..., Result], command: str) -> None:
    """`TOCSIN_GOLDEN=write` writes the files anew."""
    found = run(*command.split(), "--help")
    assert found.exit_code == 0
    path = GOLDEN / f"help-{command.replace(' ', '-') or 'tocsin'}.txt"
    if os.environ.get("TOCSIN_GOLDEN") == "write":
        path.write_text(found.stdout, encoding="utf-8")
    assert found.stdout == path.read_text(encoding="utf-8")
    assert max(map(len, found.stdout.splitlines())) <= 100


@pytest.mark.parametrize("command", [command for command in COMMANDS if command])
def test_every_help_has_an_example(run: Callable[..., Result], command: str) -> None:
    _, _, examples = run(*command.split(), "-h").stdout.partition("Examples:")
    assert f"tocsin {command}" in examples


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["tail"], ["explain"], ["tail", "x", "-n", "-1"], ["validate"], ["nothing"]]
)
def test_wrong_usage_is_2_and_speaks_on_stderr(run: Callable[..., Result], arguments: list[str]) -> None:
    found = run(*arguments)
    assert found.exit_code == 2
    assert found.stdout == ""
    assert found.stderr


def test_the_version(run: Callable[..., Result]) -> None:
    assert run("--version").stdout.startswith("tocsin")


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'faust', 'confluent_kafka', 'pydantic', 'aiohttp', 'ruamel.yaml', 'schemas', 'streams', 'alerts', 'sinks'}"
    script = f"import sys; import cli.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_nobody_answers_is_3_and_says_what_to_do(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.reading.opened", lambda bootstrap: reading.KafkaLog(bootstrap, 0.2))
    found = run("slo", "--bootstrap", "127.0.0.1:1")
    assert found.exit_code == 3
    assert found.stdout == ""
    assert "error: no broker answers" in found.stderr
    assert "127.0.0.1:1" in found.stderr
    assert "tocsin up" in found.stderr


def test_a_pipe_gets_no_colour(tmp_path: Path) -> None:
    environment = {**os.environ, "FORCE_COLOR": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("FORCE_COLOR")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "topics"], capture_output=True, text=True, check=True, env=environment
    )
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[1].startswith("telemetry ")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m cli topics list --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.splitlines()[0] == "["
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "handed_over"),
    [
        (["demo"], ["--seed=1", "--workers=2"]),
        (["demo", "--verify", "--seed", "7", "--no-kill"], ["--verify", "--seed=7", "--workers=2", "--no-kill"]),
        (["demo", "--rate", "200"], ["--seed=1", "--workers=2", "--rate", "200"]),
    ],
)
def test_the_demo_gets_its_options(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, arguments: list[str], handed_over: list[str]
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("cli.demo.run", lambda arguments: seen.extend(arguments) or 1)
    assert run(*arguments).exit_code == 1
    assert seen == handed_over


def test_the_worker_gets_its_broker(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.__main__.main", lambda arguments: 0 if arguments == ["worker"] else 9)
    monkeypatch.setenv("TOCSIN_BOOTSTRAP", "before")
    assert run("worker", "--bootstrap", "kafka:9092").exit_code == 0
    assert os.environ["TOCSIN_BOOTSTRAP"] == "kafka:9092"
