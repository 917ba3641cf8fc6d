"""Process: start, recognise, watch and end a long-running program of our own.

What: a detached child with its log, a state file that says who it is, and an end by process id. Why: the broker and
the registry are started, found again and ended in exactly the same way. It refuses to end a process that it cannot
prove to be the one in the state file: ids are reused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import psutil

from local.errors import StartBusy
from local.limits import (
    CREATED_TOLERANCE_S,
    KILL_MAX_S,
    LOG_TAIL_BYTES_MAX,
    LOG_TAIL_LINES_MAX,
    POLL_S,
    RECOGNISE_MAX_S,
    STOP_MAX_S,
)

LOOPBACK = "127.0.0.1"


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who a started process is.

    `created_s` is its creation time (seconds since the epoch) and `mark` a text of its command line: together with
    the id they tell it from any later process that got the same id. `ports` are the loopback ports it listens on.
    """

    pid: int
    created_s: float
    mark: str
    ports: tuple[int, ...]
    name: str

    def process(self) -> psutil.Process | None:
        """The live process of this identity, or None when it has ended."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same_time = abs(process.create_time() - self.created_s) <= CREATED_TOLERANCE_S
            same_command = any(self.mark in word for word in process.cmdline())
        except psutil.Error:
            return None
        return process if same_time and same_command else None

    def save(self, path: Path) -> None:
        """Writes the identity so that a reader sees all of it or nothing."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        os.replace(partial, path)


def load_identity(path: Path) -> Identity | None:
    """The identity in a state file, or None when there is none or it cannot be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Identity(facts["pid"], facts["created_s"], facts["mark"], tuple(facts["ports"]), facts["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclasses.dataclass(slots=True)
class Child:
    """A process that this one started: who it is, and the two handles that must be waited for."""

    identity: Identity
    program: subprocess.Popen[bytes]
    guard: subprocess.Popen[bytes] | None

    def exit_code(self) -> int | None:
        """The program's exit code, or None while it runs."""
        return self.program.poll()

    def reap(self) -> None:
        """Waits for the ended program, and ends its guard; call it after `end`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.program.wait(KILL_MAX_S)
        if self.guard is not None:
            self.guard.kill()
            self.guard.wait()


def spawn(
    command: Sequence[str],
    environment: dict[str, str],
    log: Path,
    *,
    name: str,
    mark: str,
    ports: Sequence[int],
    guarded: bool,
) -> Child:
    """Starts a program in a session of its own, so that Ctrl-C in this terminal does not reach it.

    Its output goes to `log`, which begins anew. When `guarded`, a second small process ends it should this one vanish.
    """
    with log.open("wb") as output:
        program = detached(command, environment, output)
    guard = None
    if guarded:
        watching = [sys.executable, "-m", "local.guard", str(os.getpid()), str(program.pid)]
        guard = detached(watching, environment, subprocess.DEVNULL)
    try:
        created_s = psutil.Process(program.pid).create_time()
    except psutil.Error:
        created_s = time.time()
    identity = Identity(program.pid, created_s, mark, tuple(ports), name)
    # The system reports a new program a moment before it shows the program's command line.
    deadline = time.monotonic() + RECOGNISE_MAX_S
    while identity.process() is None and program.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL_S / 100)
    return Child(identity, program, guard)


def detached(command: Sequence[str], environment: dict[str, str], output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Starts a child that has its own session and no terminal."""
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end(identity: Identity, first: signal.Signals = signal.SIGTERM) -> None:
    """Ends the process of that identity and waits until it is gone; nothing happens when it is gone already.

    After `STOP_MAX_S` seconds it is killed. With `first=SIGKILL` it gets no chance to tidy up.
    """
    for sent, patience_s in ((first, STOP_MAX_S), (signal.SIGKILL, KILL_MAX_S)):
        process = identity.process()
        if process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(sent)
        deadline = time.monotonic() + patience_s
        while identity.process() is not None and time.monotonic() < deadline:
            time.sleep(POLL_S / 4)


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a loopback port can be bound now, in the way that a Java server binds it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def port_answers(port: int, timeout_s: float) -> bool:
    """Whether something accepts connections on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def tail(*logs: Path) -> str:
    """The last lines of the first of these logs that has any, for an error message."""
    for log in logs:
        with contextlib.suppress(OSError), log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES_MAX))
            lines = stream.read().decode("utf-8", "replace").split("\n")
            kept = [line for line in lines if line.strip()][-LOG_TAIL_LINES_MAX:]
            if kept:
                return "\n  " + "\n  ".join(kept)
    return "(the log is empty)"


@contextlib.contextmanager
def exclusive(path: Path, what: str, patience_s: float) -> Iterator[None]:
    """Holds a lock file, which the system lets go of when this process ends in any way."""
    deadline = time.monotonic() + patience_s
    with path.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StartBusy(what=what, path=path.parent, seconds=int(patience_s)) from error
                time.sleep(POLL_S)
        yield
