"""Files of every kind, mistakes with their place, and nothing of the environment read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., Result]


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_examples_and_the_demo_are_good(run: Run) -> None:
    found = run("validate", str(ROOT / "examples" / "slos"), str(ROOT / "demo" / "routes.yaml"))
    assert found.exit_code == 0, found.stdout
    assert found.stdout.startswith("files: ")
    assert "configuration: " in found.stdout


def test_a_mistake_shows_its_line_a_caret_and_a_hint(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "channels.yaml", "channels:\n  - name: team\n    kind: webhok\n    url: https://x/\n")
    found = run("validate", path)
    assert found.exit_code == 1
    assert found.stdout == (
        f"{path}:3:11: there is no kind of channel 'webhok'\n"
        "    3 |     kind: webhok\n"
        "      |           ^\n"
        "        to do: did you mean 'webhook'?\n"
    )
    assert "1 problem in 1 file" in found.stderr


@pytest.mark.parametrize(
    "file", sorted((ROOT / "tests" / "alerts" / "bad_slos").glob("*.yaml")), ids=lambda path: path.stem
)
def test_each_bad_slo_file_is_refused_at_a_line_of_it(run: Run, file: Path) -> None:
    found = run("validate", str(file), "--json")
    assert found.exit_code == 1
    problems = json.loads(found.stdout)["problems"]
    lines = file.read_text(encoding="utf-8", errors="replace").count("\n") + 1
    assert problems
    assert all(problem["file"] == str(file) and 1 <= problem["line"] <= lines for problem in problems)


def test_routes_are_held_against_the_channels_beside_them(run: Run, tmp_path: Path) -> None:
    channels = write(tmp_path / "channels.yaml", "channels:\n  - {name: team, kind: webhook, url_env: NOT_SET}\n")
    routes = write(tmp_path / "routes.yaml", "receivers:\n  - {name: a, channels: [tea]}\ndefault: [a]\n")
    found = run("validate", channels, routes)
    assert found.exit_code == 1
    assert "there is no channel 'tea'" in found.stdout
    assert "did you mean 'team'?" in found.stdout
    assert (
        run(
            "validate",
            channels,
            write(tmp_path / "good.yaml", "receivers:\n  - {name: a, channels: [team]}\ndefault: [a]\n"),
        ).exit_code
        == 0
    )


def test_a_directory_is_read_whole(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "kind: [\n")
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "b.yml", "channels: 1\n")
    files = {problem["file"] for problem in json.loads(run("validate", str(tmp_path), "--json").stdout)["problems"]}
    assert files == {str(tmp_path / "a.yaml"), str(tmp_path / "deep" / "b.yml")}


def test_what_is_not_there_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    found = run("validate", str(tmp_path / "nothing"))
    assert found.exit_code == 2
    assert "there is no such file" in found.stderr
    assert run("validate", str(tmp_path)).exit_code == 2


def test_a_file_does_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    found = run(
        "validate",
        write(
            tmp_path / "channels.yaml", "channels:\n  - name: 'x\u202e\u200b'\n    kind: webhook\n    url: https://x/\n"
        ),
    )
    assert found.exit_code == 1
    assert "\u202e" not in found.stdout
