"""Every code block of the README and of docs/ is run.

python blocks are executed; yaml blocks are validated as OpenSLO; sh blocks are run line by line against the session's
broker. `make` lines are dry runs, since CI runs those very targets. A block in another language fails: it would be
a block that nothing checks. Pictures and output are fenced as `text` or with no language.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_CODE = {"", "text", "json"}
DOCUMENTED_BOOTSTRAP = "127.0.0.1:9092"


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """All fenced blocks of all pages that are code."""
    found = []
    for page in PAGES:
        if not page.exists():
            continue
        source = page.read_text()
        for match in FENCE.finditer(source):
            line = source.count("\n", 0, match.start()) + 1
            found.append(Block(str(page.relative_to(ROOT)), line, match[1], match[2]))
    return [block for block in found if block.language not in NOT_CODE]


def run(command: list[str], bootstrap: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """One command with the session's broker in its environment."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "TOCSIN_BOOTSTRAP": bootstrap, "PYTHONPATH": path}
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def run_line(line: str, bootstrap: str) -> None:
    """One line of a sh block."""
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[0] == "make":
        words = ["make", "--dry-run", *words[1:]]
    elif words[0] == "tocsin":
        words = [sys.executable, "-m", "cli", *words[1:]]
    done = run(words, bootstrap, ROOT)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_the_readme_has_blocks() -> None:
    assert any(block.page == "README.md" for block in blocks())


@pytest.mark.broker
@pytest.mark.parametrize("block", blocks(), ids=str)
def test_block_runs(block: Block, bootstrap: str, tmp_path: pathlib.Path) -> None:
    if block.language == "sh":
        for line in block.text.replace("\\\n", " ").splitlines():
            run_line(line.replace(DOCUMENTED_BOOTSTRAP, bootstrap), bootstrap)
    elif block.language == "python":
        script = tmp_path / "block.py"
        script.write_text(block.text.replace(DOCUMENTED_BOOTSTRAP, bootstrap))
        done = run([sys.executable, str(script)], bootstrap, tmp_path)
        assert done.returncode == 0, done.stderr
    elif block.language == "yaml":
        file = tmp_path / "block.yaml"
        file.write_text(block.text)
        done = run([sys.executable, "-m", "cli", "validate", str(file)], bootstrap, ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        pytest.fail(f"{block}: no way to run a {block.language!r} block; fence it as text if it is not code")
