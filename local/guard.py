"""Guard: ends a process when the process that started both is gone.

What: `python -m local.guard STARTER PID`: watches its own parent and, when that is no longer STARTER, ends PID. Why:
a broker must not outlive a test run or demo that was killed with -9, and no portable call ties their lives together.
It refuses to judge: it knows two process ids, no names, and never touches a process that was not there at its start.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from local.limits import GUARD_POLL_S, STOP_MAX_S


def alive(pid: int) -> bool:
    """Whether a process of that id exists and may be signalled by this user."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end(pid: int) -> None:
    """Asks the process to end, and kills it when it has not within `STOP_MAX_S` seconds."""
    deadline = time.monotonic() + STOP_MAX_S
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            return
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(GUARD_POLL_S)


def watch(starter: int, pid: int) -> None:
    """Returns when `pid` is gone, having ended it if `starter` (this process's parent) went first."""
    while alive(pid):
        if os.getppid() != starter:
            end(pid)
            return
        time.sleep(GUARD_POLL_S)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]))
