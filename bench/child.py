"""Child: a process of the benchmark that gets ready, waits for a word, and ends with one line of facts.

What: `python -m <module> <order as JSON>`, which says "ready …", begins at "go", may be told "stop", and prints a JSON
object last. Why a process: what makes load must not share an interpreter with what measures. It refuses to guess: a child
that does not get ready, or ends without its line, is an error.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.rig import ROOT, environment

END_S = 180.0
READY, GO = "ready", "go"


class Child:
    """As seen from the process that measures. `ready`: what it said when it was."""

    def __init__(self, process: subprocess.Popen[str], name: str, ready: str) -> None:
        self._process, self._name = process, name
        self.ready = ready

    def go(self) -> None:
        """Begin."""
        self._say(GO)

    def stop(self) -> dict[str, Any]:
        """End before the time is up; its facts."""
        with contextlib.suppress(BrokenPipeError):
            self._say("stop")
        return self.facts()

    def facts(self) -> dict[str, Any]:
        """Wait for the end; its facts. Raises RuntimeError when it failed."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if self._process.wait(END_S) or not line:
            raise RuntimeError(f"{self._name} failed with {self._process.returncode}; its errors are above")
        found: dict[str, Any] = json.loads(line)
        return found

    def _say(self, word: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()


@contextlib.contextmanager
def child(module: str, order: Mapping[str, object]) -> Iterator[Child]:
    """A child that is ready and waits for `go`; killed at the end if it still runs. Raises RuntimeError."""
    with subprocess.Popen(
        [sys.executable, "-m", module, json.dumps(order)],
        env=environment(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith(READY):
                raise RuntimeError(f"{module} did not get ready; its errors are above")
            yield Child(process, module, line.removeprefix(READY).strip())
        finally:
            if process.poll() is None:
                process.kill()


def await_go(ready: object, stopped: Callable[[], object] = lambda: None) -> bool:
    """In the child: say that we are ready, and wait. Whether to begin; then `stopped` is called, from a thread of its
    own, when we are told to stop or left alone."""
    print(f"{READY} {ready}", flush=True)
    if sys.stdin.readline().strip() != GO:
        return False

    def listen() -> None:
        sys.stdin.readline()
        stopped()

    threading.Thread(target=listen, daemon=True).start()
    return True
