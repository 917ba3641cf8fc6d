"""The direction of imports: held by import-linter, and import-linter held by this.

What: the contracts of pyproject.toml are kept; each is broken on purpose once, in a small copy of the rooms' names. Why:
a contract that names a room wrongly is kept by everybody. It refuses to restate the contracts: they stand in one place.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINTER = PROJECT["tool"]["importlinter"]
ROOMS = LINTER["root_packages"]
RUN = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"

#: Contract -> (file, import) that must break it.
OFFENCES = {
    "layers": ("rollups/x.py", "import streams"),
    "pure": ("alerts/x.py", "import time"),
    "faust": ("sinks/x.py", "import faust"),
    "client-alone": ("tocsin/x.py", "import schemas"),
    "rooms-without-client": ("streams/x.py", "import tocsin"),
    "oracle": ("demo/ideal.py", "import alerts"),
    "destinations": ("sinks/webhook.py", "import sinks.pagerduty"),
}


def lint(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, "--no-logo", "--no-cache", *arguments],
        cwd=tree,
        env={"PYTHONPATH": f"{tree}:{tree / 'client/src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.parametrize("contract", [contract["id"] for contract in LINTER["contracts"]])
def test_each_contract_can_be_broken(contract: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    named = {m for one in LINTER["contracts"] for m in [*one.get("modules", []), *one.get("source_modules", [])]}
    for module in sorted(module for module in named if "." in module):
        place = tmp_path / module.replace(".", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        (place.parent / "__init__.py").touch()
        place.with_suffix(".py").touch()
    assert lint(tmp_path, "--contract", contract).returncode == 0, "kept before the offence"
    path, statement = OFFENCES[contract]
    (tmp_path / path).write_text(f"{statement}\n", encoding="utf-8")
    assert lint(tmp_path, "--contract", contract).returncode == 1


def test_the_rooms_name_each_other_only_by_the_names_that_the_contracts_know() -> None:
    """A new folder with Python in it is a room, and belongs into the contracts."""
    folders = {path.parent.relative_to(ROOT).parts[0] for path in ROOT.glob("*/__init__.py")}
    assert folders <= set(ROOMS)
