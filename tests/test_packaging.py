"""The distributions: exactly our rooms in one, the client in the other, with all their data, and no clash of names.

What: both wheels are built from this tree, opened and compared. Why: flat rooms have names that anybody may use, and a
missing data file shows only where it is installed. It refuses the network: the build back end is in the lock.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CLIENT = tomllib.loads((ROOT / "client/pyproject.toml").read_text(encoding="utf-8"))
ROOMS = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
DATA = {".avsc", ".yaml", ".json", ".toml", ".gz", ".typed"}
#: Extras whose packages are imported by what is installed.
RUN = ("local", "kafka", "agent", "celery", "faust", "gateway")
#: Imports that a function makes only where the package is there: the second way to a broker, the fake mail server.
OPTIONAL = {"aiosmtpd", "docker", "testcontainers"}


def built(project: Path, target: Path) -> zipfile.ZipFile:
    """The wheel of a project, built without a network and without touching the tree."""
    copy = target / "tree"
    left_out = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", ".tocsin", "__pycache__", "bench", "proof", "tests", "docs"
    )
    shutil.copytree(project, copy, symlinks=False, ignore=left_out)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(target)], cwd=copy, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return zipfile.ZipFile(target / done.stdout.split()[-1])


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built(ROOT, tmp_path_factory.mktemp("platform"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built(ROOT / "client", tmp_path_factory.mktemp("client"))


def tops(wheel: zipfile.ZipFile) -> set[str]:
    names = {name.partition("/")[0] for name in wheel.namelist()}
    return {name for name in names if not name.endswith(".dist-info")}


def files_under(folder: Path, suffixes: set[str]) -> set[str]:
    return {p.relative_to(folder.parent).as_posix() for p in folder.rglob("*") if p.suffix in suffixes and p.is_file()}


def test_the_platform_holds_exactly_the_rooms(platform: zipfile.ZipFile) -> None:
    linted = set(PROJECT["tool"]["importlinter"]["root_packages"]) - {"bench", "proof", "tocsin"}
    assert tops(platform) == ROOMS == linted


def test_the_client_holds_exactly_itself(client: zipfile.ZipFile) -> None:
    assert tops(client) == {"tocsin"}


def test_every_module_and_data_file_is_inside(platform: zipfile.ZipFile, client: zipfile.ZipFile) -> None:
    for room in ROOMS:
        missing = files_under(ROOT / room, DATA | {".py"}) - set(platform.namelist())
        assert not missing
    missing = files_under(ROOT / "client/src/tocsin", DATA | {".py"}) - set(client.namelist())
    assert not missing


def test_the_clients_schemas_are_the_platforms_byte_for_byte(client: zipfile.ZipFile) -> None:
    schemas = sorted((ROOT / "schemas/avro").glob("*.avsc"))
    assert schemas
    for path in schemas:
        assert client.read(f"tocsin/_avro/{path.name}") == path.read_bytes()


def test_the_platform_cannot_be_uploaded_by_accident(platform: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in platform.namelist() if name.endswith(".dist-info/METADATA")]
    assert "Classifier: Private :: Do Not Upload" in platform.read(metadata).decode()


def test_the_command_is_installed(platform: zipfile.ZipFile) -> None:
    (entry,) = [name for name in platform.namelist() if name.endswith(".dist-info/entry_points.txt")]
    assert "tocsin = cli.main:main" in platform.read(entry).decode()
    module = ast.parse((ROOT / "cli/main.py").read_text(encoding="utf-8"))
    defined = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    bound = {ast.unparse(t) for node in module.body if isinstance(node, ast.Assign) for t in node.targets}
    assert "main" in defined | bound


def test_no_installed_distribution_offers_our_names() -> None:
    ours = {PROJECT["project"]["name"], CLIENT["project"]["name"]}
    names = ROOMS | {"tocsin", "bench", "proof", "tests"}
    clashes = {
        (name, owner)
        for name, owners in importlib.metadata.packages_distributions().items()
        for owner in owners
        if name in names and owner.lower().replace("_", "-") not in ours
    }
    assert not clashes


def normal(requirement: str) -> str:
    name = re.split(r"[\s<>=!~;\[]", requirement.strip(), maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def third_party(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - ROOMS - {"tocsin"} - OPTIONAL


@pytest.mark.parametrize("which", ["platform", "client"])
def test_what_is_imported_is_declared(which: str) -> None:
    folders = [ROOT / room for room in ROOMS] if which == "platform" else [ROOT / "client/src/tocsin"]
    project = (PROJECT if which == "platform" else CLIENT)["project"]
    extras = project.get("optional-dependencies", {})
    declared = {normal(r) for r in [*project["dependencies"], *(r for name in RUN for r in extras.get(name, []))]}
    owners = importlib.metadata.packages_distributions()
    undeclared = {
        name
        for folder in folders
        for name in third_party(folder)
        if not declared.intersection(normal(owner) for owner in owners.get(name, []))
    }
    assert not undeclared, "add to the dependencies in pyproject.toml, and run `make lock`"


def pins(lock: str) -> dict[str, set[str]]:
    """Name -> the pins of a lock (more than one where Python versions differ)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            found.setdefault(normal(line), set()).add(line.removesuffix("\\").strip())
    return found


def test_the_locks_hold_every_dependency_with_hashes_and_nothing_of_a_machine() -> None:
    runtime, dev = pins("runtime.txt"), pins("dev.txt")
    assert {normal(r) for r in PROJECT["project"]["dependencies"]} <= set(runtime)
    extras = PROJECT["project"]["optional-dependencies"]
    assert {normal(r) for group in extras.values() for r in group} <= set(dev)
    assert all(dev.get(name) == pinned for name, pinned in runtime.items()), "one pin a package, whoever installs it"
    wanted = (ROOT / "requirements/peers.in").read_text(encoding="utf-8").splitlines()
    assert {normal(line) for line in wanted if line and not line.startswith("#")} <= set(pins("peers.txt"))
    for lock in ("runtime.txt", "dev.txt", "peers.txt"):
        text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text
        for pin in re.split(r"\n(?=\w)", text)[1:]:
            assert "--hash=sha256:" in pin, pin.splitlines()[0]


def test_the_lock_is_what_runs_here() -> None:
    """Versions installed in this environment are those of the lock, so that a green run speaks for it."""
    wrong = set()
    for name, pinned in pins("dev.txt").items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if not any(f"=={version}" in pin for pin in pinned):
            wrong.add((name, version))
    assert not wrong
