"""Lifecycle: what a process' end and a fork mean for its clients.

What: one list of the process' open clients; at exit they share one deadline; over a fork they hold still, and the
child's start afresh. Why: measurements must survive a normal exit, and a child must neither repeat its parent's nor
hang on a lock that nobody in it holds. It refuses to handle signals: they are the host's.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from time import monotonic

from tocsin import limits
from tocsin.pump import Pump


class Member:
    """One open client, as exit and fork see it. `close` takes a deadline in seconds."""

    __slots__ = ("close", "pump", "start_afresh")

    def __init__(self, close: Callable[[float], bool], pump: Pump, start_afresh: Callable[[], None]) -> None:
        self.close = close
        self.pump = pump
        self.start_afresh = start_afresh


_members: list[Member] = []
_held: list[Member] = []  # members that the fork under way holds still


def join(member: Member) -> None:
    """From now on, think of this client."""
    _members.append(member)


def leave(pump: Pump) -> None:
    """The client of that pump is closed."""
    _members[:] = [member for member in _members if member.pump is not pump]


def _at_exit() -> None:
    deadline = monotonic() + limits.EXIT_DEADLINE
    for member in _members.copy():
        member.close(max(0.0, deadline - monotonic()))


def _before_fork() -> None:
    """Wait, not for ever, until no batch is half encoded, so that the child's copy of memory is whole."""
    _held.extend(member for member in _members if member.pump.lock.acquire(timeout=limits.FORK_WAIT))


def _after_fork_parent() -> None:
    while _held:
        _held.pop().pump.lock.release()


def _after_fork_child() -> None:
    _held.clear()
    for member in _members:
        member.start_afresh()


atexit.register(_at_exit)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_parent, after_in_child=_after_fork_child)
