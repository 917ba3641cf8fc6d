"""Registry: one embedded schema registry, as a process on this machine.

What: Apicurio Registry with its in-memory store, started by `EmbeddedRegistry(directory)`; `url` is its Confluent
compatible API. Why: framing with a registry is tested against a real server. It refuses to keep anything: each start
is an empty registry, and it ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from local import java, process
from local.directory import made
from local.errors import ProcessDied, StartTimeout
from local.java import Progress, silent
from local.limits import METADATA_MAX_S, POLL_S, REGISTRY_HEAP_MIB, REGISTRY_START_MAX_S, START_LOCK_MAX_S

REGISTRY_VERSION = "3.3.3"
REGISTRY = f"io.apicurio:apicurio-registry-app:{REGISTRY_VERSION}:tar.gz:all"
LABEL = f"apicurio-registry-{REGISTRY_VERSION}"
WHAT = "embedded schema registry"
MAIN_JAR = "quarkus-run.jar"


class EmbeddedRegistry:
    """A registry whose log lies in `directory`; port 0 picks a free one. It ends with this process."""

    def __init__(self, directory: Path, port: int = 0, progress: Progress = silent) -> None:
        self.directory = directory.resolve()
        self.port = port
        self.progress = progress
        self._child: process.Child | None = None

    @property
    def url(self) -> str:
        """The base of Confluent's registry API, version 7, without a slash at its end."""
        return f"http://{process.LOOPBACK}:{self.port}/apis/ccompat/v7"

    @property
    def log(self) -> Path:
        """What the registry printed."""
        return self.directory / "registry.log"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *unused: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Downloads the registry at the first call, starts it, and returns once it answers."""
        made(self.directory)
        java.require_disk(self.directory)
        program = unpacked(self.progress) / MAIN_JAR
        begun = time.monotonic()
        self.port = self.port or process.free_port()
        options = {
            "quarkus.http.host": process.LOOPBACK,
            "quarkus.http.port": self.port,
            "quarkus.management.enabled": "false",
        }
        self._child = process.spawn(
            [
                str(java.java()),
                f"-Xmx{REGISTRY_HEAP_MIB}m",
                *(f"-D{name}={value}" for name, value in options.items()),
                "-jar",
                str(program),
            ],
            java.child_environment(),
            self.log,
            name=LABEL,
            mark=str(program),
            ports=[self.port],
            guarded=True,
        )
        try:
            self._await_answer()
        except BaseException:
            self.stop()
            raise
        self.progress(f"schema registry {REGISTRY_VERSION} answers at {self.url} ({time.monotonic() - begun:.1f} s)")
        return self

    def stop(self) -> None:
        """Ends the registry and waits until it is gone."""
        if self._child is not None:
            process.end(self._child.identity)
            self._child.reap()
            self._child = None

    def _await_answer(self) -> None:
        deadline = time.monotonic() + REGISTRY_START_MAX_S
        while time.monotonic() < deadline:
            code = self._child.exit_code() if self._child else None
            if code is not None:
                raise ProcessDied(what=WHAT, code=code, log=self.log, tail=process.tail(self.log))
            if answers(f"{self.url}/subjects"):
                return
            time.sleep(POLL_S)
        raise StartTimeout(what=WHAT, seconds=int(REGISTRY_START_MAX_S), log=self.log, tail=process.tail(self.log))


def answers(url: str) -> bool:
    """Whether a GET of that loopback address is answered with success; proxies of the environment are not used."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.URLError, OSError), opener.open(url, timeout=METADATA_MAX_S) as response:
        return bool(response.status == 200)
    return False


def unpacked(progress: Progress = silent) -> Path:
    """The directory of the unpacked registry, downloaded and unpacked at the first call."""
    (archive,) = java.fetch(LABEL, "one", REGISTRY, progress)
    target = java.cache_dir() / f"{LABEL}-unpacked"
    with process.exclusive(target.with_name(f"{target.name}.lock"), WHAT, START_LOCK_MAX_S):
        if not target.is_dir():
            progress("unpacking the schema registry")
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            with tarfile.open(archive) as opened:
                opened.extraction_filter = getattr(tarfile, "data_filter", None)  # absent before Python 3.11.4
                opened.extractall(partial)  # noqa: S202 - jgo has checked the archive against its published hash
            partial.rename(target)
    return target
