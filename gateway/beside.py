"""Beside: a process of ours that reads bodies which would hold up everybody in this one.

What: a function with its arguments goes over a pipe, the parts that it yields come back. Why: reading JSON holds Python's one
lock, so a thread would keep the loop waiting all the same (docs/decisions/0018); another process has a lock of its own, and
yields to us where processors are short. It refuses a work that is not done in time: the process is killed, and the next work
gets a new one. It ends by itself when we do, however we end.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle  # between two processes of one program: nothing else ever writes into these pipes
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final, TypeVar

from gateway.limits import BESIDE_NICE, BESIDE_S
from gateway.refusal import Refusal

PART, END, REFUSED, FAILED = range(4)
_OURSELVES: Final = "gateway.beside"

Part = TypeVar("Part")
Work = Callable[..., Iterable[Part]]


class Ended(Exception):
    """The process has ended in the middle of a work"""


class TooSlow(Ended):
    """The process was killed: the work took too long"""


class Failed(RuntimeError):
    """The work raised what it should not"""


class Process:
    """One such process, for one thread. `within_s`: how long a work may take."""

    def __init__(self, within_s: float = BESIDE_S) -> None:
        self._within_s = within_s
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _OURSELVES],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # it has to find what we have found
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in our terminal is for us
        )

    @property
    def pid(self) -> int:
        """As the system counts it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it may be asked."""
        return self._process.poll() is None

    def ask(self, work: Work[Part], *arguments: object) -> list[Part]:
        """All that the work yields. Raises Refusal as it does; Ended, after which this process is of no more use; Failed."""
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._within_s, kill)
        timer.start()
        try:
            return self._asked(work, arguments)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self.kill()
            raise (TooSlow if late.is_set() else Ended) from error
        finally:
            timer.cancel()

    def _asked(self, work: Work[Part], arguments: tuple[object, ...]) -> list[Part]:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        pickle.dump((work, arguments), to)
        to.flush()
        parts: list[Part] = []
        while True:
            what, found = pickle.load(back)  # noqa: S301  # see above
            if what == PART:
                parts.append(found)
            elif what == END:
                return parts
            elif what == REFUSED:
                raise found
            else:
                raise Failed(found)

    def kill(self) -> None:
        """End it; whoever has asked it is told."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Kill it and close its pipes; nobody may be asking it."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it did not read is of no interest
                    pipe.close()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """One work after the other, until whoever asks has ended."""
    while True:
        try:
            work, arguments = pickle.load(source)  # noqa: S301  # see above
        except EOFError:
            return
        try:
            for part in work(*arguments):
                pickle.dump((PART, part), sink)
            answer: tuple[int, object] = (END, None)
        except Refusal as refusal:
            answer = (REFUSED, refusal)
        except Exception:  # noqa: BLE001  # it goes back to whoever asked
            answer = (FAILED, traceback.format_exc())
        pickle.dump(answer, sink)
        sink.flush()
        del arguments, answer
        gc.collect()


def main() -> None:
    """The process. Whatever prints must not print into the answers."""
    sink = sys.stdout.buffer
    sys.stdout = sys.stderr
    os.nice(BESIDE_NICE)
    gc.disable()  # a body becomes a million objects and no cycles; looking for some among them is most of the time
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
