"""Workers: the platform's own processes, as many as asked for, on this machine.

What: start, kill and end `python -m streams worker` (or another program of ours), each with its log. Why: the demo runs what an operator runs, as
separate processes that can be killed. It refuses to touch a process that it did not start.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.process import Child, end, spawn, tail

ROOT = Path(__file__).resolve().parent.parent
#: How to get to a cluster elsewhere; a broker of this machine asks nobody who he is.
ELSEWHERE = "TOCSIN_KAFKA_"


class WorkerEnded(RuntimeError):
    """A worker ended although nobody asked it to"""

    def __init__(self, name: str, code: int, log: Path) -> None:
        super().__init__(f"{self.__doc__}: {name}, exit code {code}; the end of {log}:{tail(log)}")


class Workers:
    """The running workers by name. `environment`: TOCSIN_* settings that all of them get; `program`: what they run."""

    def __init__(
        self, environment: Mapping[str, str], logs: Path, program: Sequence[str] = ("streams", "worker")
    ) -> None:
        self._program = program
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ELSEWHERE)},
            **environment,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        self._logs = logs
        self._running: dict[str, Child] = {}
        self._log_of: dict[str, Path] = {}
        self.kills = 0

    @property
    def names(self) -> list[str]:
        """Workers that run, by name."""
        return sorted(name for name, child in self._running.items() if child.exit_code() is None)

    def start(self, name: str, own: Mapping[str, str] | None = None) -> None:
        """Start one worker; its log begins anew unless it ran before. `own`: settings that only this one gets."""
        log = self._log_of[name] = self._logs / f"{name}-{self.kills}.log"
        command = [sys.executable, "-m", *self._program]
        environment = {**self._environment, **(own or {})}
        self._running[name] = spawn(command, environment, log, name=name, mark=self._program[0], ports=(), guarded=True)

    def log(self, name: str) -> Path:
        """Where one that was started writes, or wrote last."""
        return self._log_of[name]

    def pid(self, name: str) -> int:
        """The process id of one that was started."""
        return self._running[name].identity.pid

    def code(self, name: str) -> int | None:
        """The exit code of one that was started (below 0: the signal that ended it); None while it runs."""
        return self._running[name].exit_code()

    def check(self) -> None:
        """Raise WorkerEnded if one has ended by itself."""
        for name, child in self._running.items():
            code = child.exit_code()
            if code is not None:
                raise WorkerEnded(name, code, self._log_of[name])

    def kill(self, name: str) -> None:
        """End one worker with SIGKILL: no chance to tidy up."""
        self.kills += 1
        child = self._running.pop(name)
        end(child.identity, signal.SIGKILL)
        child.reap()

    def stop(self) -> None:
        """Ask all to end, and wait."""
        for child in self._running.values():
            if child.exit_code() is None:
                child.program.send_signal(signal.SIGTERM)
        while self._running:
            _, child = self._running.popitem()
            end(child.identity)
            child.reap()
