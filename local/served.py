"""Served: a Java program that answers over HTTP, out of an archive in Maven packages, for as long as its starter lives.

What: `JavaServer` starts one, awaits its first answer and ends it; `unpacked` is the folder of its archive. Why: the registry and
the identity provider of the tests differ in their words and in nothing else. It refuses to keep anything: each start is empty.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from local import java, process
from local.directory import made
from local.errors import ProcessDied, StartTimeout
from local.java import Progress, silent
from local.limits import METADATA_MAX_S, POLL_S, START_LOCK_MAX_S


class JavaServer:
    """A server whose log lies in `directory`; port 0 picks a free one. It ends with this process."""

    WHAT: ClassVar[str]
    LABEL: ClassVar[str]
    LOG: ClassVar[str]
    ENDED_BY: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path, port: int = 0, progress: Progress = silent) -> None:
        self.directory = directory.resolve()
        self.port = port
        self.progress = progress
        self._child: process.Child | None = None

    def command(self) -> tuple[Sequence[str], str, Mapping[str, str]]:
        """The words that run it, what of them stays in its command line, and what it finds in its environment."""
        raise NotImplementedError

    @property
    def asked(self) -> str:
        """The address that answers once it is ready."""
        raise NotImplementedError

    @property
    def patience_s(self) -> float:
        """How long it may take to the first answer."""
        raise NotImplementedError

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.directory / self.LOG

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *unused: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Downloads it at the first call, starts it, and returns once it answers."""
        made(self.directory)
        java.require_disk(self.directory)
        self.port = self.port or process.free_port()
        words, mark, environment = self.command()
        begun = time.monotonic()
        self._child = process.spawn(
            words,
            {**java.child_environment(), **environment},
            self.log,
            name=self.LABEL,
            mark=mark,
            ports=[self.port],
            guarded=True,
        )
        try:
            self._await_answer()
        except BaseException:
            self.stop()
            raise
        self.progress(f"{self.WHAT} answers at {self.asked} ({time.monotonic() - begun:.1f} s)")
        return self

    def stop(self) -> None:
        """Ends it and waits until it is gone."""
        if self._child is not None:
            process.end(self._child.identity, self.ENDED_BY)
            self._child.reap()
            self._child = None

    def _await_answer(self) -> None:
        deadline = time.monotonic() + self.patience_s
        while time.monotonic() < deadline:
            code = self._child.exit_code() if self._child else None
            if code is not None:
                raise ProcessDied(what=self.WHAT, code=code, log=self.log, tail=process.tail(self.log))
            if answers(self.asked):
                return
            time.sleep(POLL_S)
        raise StartTimeout(what=self.WHAT, seconds=int(self.patience_s), log=self.log, tail=process.tail(self.log))


def answers(url: str) -> bool:
    """Whether a GET of that loopback address is answered with success; proxies of the environment are not used."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.URLError, OSError), opener.open(url, timeout=METADATA_MAX_S) as response:
        return bool(response.status == 200)
    return False


def unpacked(label: str, coordinate: str, what: str, progress: Progress = silent) -> Path:
    """The folder of an unpacked archive (tar.gz or zip), downloaded and unpacked at the first call."""
    (archive,) = java.fetch(label, "one", coordinate, progress)
    target = java.cache_dir() / f"{label}-unpacked"
    with process.exclusive(target.with_name(f"{target.name}.lock"), what, START_LOCK_MAX_S):
        if not target.is_dir():
            progress(f"unpacking the {what}")
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            _unpack(archive, partial)
            partial.rename(target)
    return target


def _unpack(archive: Path, target: Path) -> None:
    """Its hash was checked when it came: jgo holds it against the published one."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(target)  # noqa: S202 - see above
        return
    with tarfile.open(archive) as opened_tar:
        opened_tar.extraction_filter = getattr(tarfile, "data_filter", None)  # absent before Python 3.11.4
        opened_tar.extractall(target)  # noqa: S202 - see above
