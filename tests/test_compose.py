"""Compose file and image: valid, in order, pinned; and the image's own steps, run without Docker.

What: docker-compose.yml against the compose specification's schema and against this project's rules; then the scripts
that ops/Dockerfile runs, into an empty environment. Why: no Docker daemon is needed to be shown wrong. It refuses to
claim that a container started: where there is a daemon, `docker compose --profile core up` shows that.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "ops/Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [line.split(None, 1) for line in re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines() if line[:1].isupper()]


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_file_is_a_compose_file() -> None:
    done = validated(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout


def test_the_schema_would_have_seen_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text("services:\n  kafka:\n    image: x\n    depend_on: [y]\n")
    done = validated(wrong)
    assert done.returncode == 1
    assert "'depend_on' does not match" in done.stdout


def test_every_long_running_service_says_when_it_is_healthy() -> None:
    for name, service in SERVICES.items():
        check = service["healthcheck"]
        assert check == {"disable": True} or {"test", "interval", "timeout", "retries"} <= set(check), name
    assert {name for name, s in SERVICES.items() if s["healthcheck"] == {"disable": True}} == {"topics", "sources"}


def test_what_a_service_waits_for_is_there_and_can_become_so() -> None:
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            runs_once = wait["condition"] == "service_completed_successfully"
            assert runs_once or "test" in SERVICES[other]["healthcheck"], f"{name} waits for {other}"
            assert set(service["profiles"]) <= set(SERVICES[other]["profiles"]), f"{name} starts without {other}"


def test_profiles_are_core_and_demo() -> None:
    assert {name for name, s in SERVICES.items() if "demo" in s["profiles"]} == set(SERVICES) - {"worker"}
    assert {name for name, s in SERVICES.items() if "core" in s["profiles"]} == {
        "kafka",
        "registry",
        "topics",
        "worker",
    }


def test_images_are_pinned_and_ports_stay_on_this_machine() -> None:
    bases = [words.split()[0] for keyword, words in INSTRUCTIONS if keyword == "FROM"]
    for image in [*bases, *(service["image"] for service in SERVICES.values())]:
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+[\w.-]*", image), image
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_settings_are_ones_that_the_worker_knows() -> None:
    settings = pytest.importorskip("streams.settings")
    fields: dict[str, FieldInfo] = settings.Settings.model_fields
    known = {f"TOCSIN_{name.upper()}" for name in fields} | {"TOCSIN_HOME"}  # the last is the demo's
    used = {
        name for service in SERVICES.values() for name in service.get("environment", {}) if name.startswith("TOCSIN_")
    }
    used |= {word.partition("=")[0] for key, words in INSTRUCTIONS if key == "ENV" for word in words.split()} - {
        "PYTHONUNBUFFERED"
    }
    assert used <= known


def test_the_image_runs_as_nobody_in_particular_and_is_watched() -> None:
    keywords = [keyword for keyword, _ in INSTRUCTIONS]
    assert keywords.index("USER") < keywords.index("CMD")
    assert dict(INSTRUCTIONS)["USER"] == "10001"
    assert "/livez" in dict(INSTRUCTIONS)["HEALTHCHECK"]


def test_commands_are_ones_that_the_command_line_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.demo.run", lambda arguments: 0)
    called = [s["command"] for s in SERVICES.values() if s.get("command", [""])[0] == "tocsin"]
    assert called
    for command in called:
        done = CliRunner().invoke(app, command[1:])
        assert done.exit_code == 0, done.output


def test_what_a_container_answers_comes_from_outside() -> None:
    assert SERVICES["worker"]["environment"]["TOCSIN_HEALTH_HOST"] == "0.0.0.0"
    assert "TOCSIN_HEALTH_HOST=0.0.0.0" in dict(INSTRUCTIONS)["ENV"]


def test_the_builder_is_given_what_it_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for keyword, words in INSTRUCTIONS:
        if keyword == "COPY" and not words.startswith("--from"):
            for source in words.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(source == a or source.startswith(f"{a}/") for a in allowed), source


def test_the_image_is_built_of_every_room() -> None:
    """The wheel takes the rooms that are there, and says nothing of one that is not."""
    copied = {source for keyword, words in INSTRUCTIONS if keyword == "COPY" for source in words.split()[:-1]}
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["packages"]) - copied == set()


def image_steps() -> list[list[str]]:
    """The Dockerfile's own script calls, in order."""
    steps = [words.split(" && ")[0] for keyword, words in INSTRUCTIONS if keyword == "RUN" and "ops/scripts" in words]
    return [shlex.split(step) for step in steps]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_images_steps_make_a_program_that_starts(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "image"], check=True)
    python = str(tmp_path / "image/bin/python")
    places = {"python": python, "/wheels": str(tmp_path / "wheels")}
    steps = image_steps()
    assert [Path(step[0]).name for step in steps] == ["wheels", "install"]
    for step in steps:
        subprocess.run([places.get(word, word) for word in step], cwd=ROOT, check=True, timeout=500)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    said = subprocess.run(
        [tmp_path / "image/bin/tocsin", "--version"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert re.search(r"\d+\.\d+", said.stdout)
    worker = subprocess.run(
        [python, "-m", "streams", "worker"],
        cwd=tmp_path,
        env={**environment, "TOCSIN_PARTITIONS": "none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert worker.returncode != 0
    assert "TOCSIN_PARTITIONS" in worker.stderr, "the worker reads its settings, and says which is wrong"
