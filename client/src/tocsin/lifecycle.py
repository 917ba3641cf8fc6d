"""Lifecycle: what a process' end, a signal and a fork mean for its clients.

What: one list of the process' open clients; at exit they share one deadline; over a fork they hold still, and the
child's start afresh; SIGTERM is taken only when a client asks for it. Why: measurements must survive a normal exit, and a
child must neither repeat its parent's nor hang on a lock that nobody in it holds. It refuses to take a signal from the
host: what was there before is called after it.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from time import monotonic

from tocsin import limits
from tocsin.errors import InvalidOption
from tocsin.pump import Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any


class Member:
    """One open client, as exit and fork see it. `close` and `commit` take a deadline in seconds, `deadline` is its own.

    `pumps`: held still over a fork.
    """

    __slots__ = ("close", "commit", "deadline", "pumps", "start_afresh")

    def __init__(
        self,
        close: Callable[[float], bool],
        commit: Callable[[float], bool],
        pumps: Sequence[Pump],
        start_afresh: Callable[[], None],
        deadline: float,
    ) -> None:
        self.close = close
        self.commit = commit
        self.pumps = pumps
        self.start_afresh = start_afresh
        self.deadline = deadline


_members: list[Member] = []
_held: list[Pump] = []  # those that the fork under way holds still
_watched: set[object] = set()  # modules and signals that were told of us
_finalizers: list[Any] = []  # ours among those of multiprocessing, in this process


def join(member: Member) -> None:
    """From now on, think of this client."""
    _members.append(member)
    _watch_multiprocessing()


def leave(member: Member) -> None:
    """That client is closed."""
    _members[:] = [other for other in _members if other is not member]


def _at_exit() -> None:
    """Close all, together within the longest of their deadlines."""
    members = _members.copy()
    end = monotonic() + max((member.deadline for member in members), default=0.0)
    for member in members:
        _within(min(member.deadline, max(0.0, end - monotonic())), member.close)


def _within(deadline: float, work: Callable[[float], bool]) -> bool:
    """Its answer. A fault, such as of a destination of the host's own, keeps no other client from it, nor the host from its end."""
    try:
        return work(deadline)
    except Exception:  # noqa: BLE001 - see above; what it was is told by the stats, while anybody is there to ask
        return False


def _commit() -> None:
    """Commit all, together within the signal's deadline.

    First a turn of each, in which a spool takes what there is: none waits for another's destination to say something.
    """
    end = monotonic() + limits.SIGNAL_DEADLINE
    for member in [member for member in _members.copy() if not _within(0.0, member.commit)]:
        if (left := end - monotonic()) > 0:
            _within(left, member.commit)


def _before_fork() -> None:
    """Wait, not for ever, until no batch is half encoded, so that the child's copy of memory is whole."""
    _watch_multiprocessing()
    pumps = [pump for member in _members for pump in member.pumps]
    _held.extend(pump for pump in pumps if pump.lock.acquire(timeout=limits.FORK_WAIT))


def _after_fork_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_child() -> None:
    _held.clear()
    for member in _members:
        member.start_afresh()


def _watch_multiprocessing() -> None:
    """Its children end without running exit hooks, but run finalizers of their own: be one of them.

    A child forgets the finalizers of before when its work begins, and then runs what was registered for after the fork.
    """
    module = sys.modules.get("multiprocessing.util")
    if module is None or not _members:
        return
    if module not in _watched:
        _watched.add(module)
        module.register_after_fork(module, _finalize)
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        _finalize(module)


def _finalize(module: Any) -> None:
    """Once in a process: it is asked for at each fork."""
    if not any(known.still_active() for known in _finalizers):
        _finalizers[:] = [module.Finalize(None, _at_exit, exitpriority=100)]


def on_sigterm() -> None:
    """At SIGTERM keep what is recorded, then do what would have been done. Raises InvalidOption.

    The default is the end of the process: clients are closed before it, within the exit deadline. A host that has its own
    way to end goes it: then what is recorded is committed, and the clients stay open.
    """
    import signal

    if signal.SIGTERM in _watched:
        return
    before = signal.getsignal(signal.SIGTERM)
    if before in (signal.SIG_IGN, None):
        return

    def ended(number: int, frame: FrameType | None) -> None:
        if callable(before):
            _commit()
            before(number, frame)
        else:
            _at_exit()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    try:
        signal.signal(signal.SIGTERM, ended)
    except ValueError as error:
        raise InvalidOption("sigterm; signals are taken in the main thread, and this is another") from error
    _watched.add(signal.SIGTERM)


atexit.register(_at_exit)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_parent, after_in_child=_after_fork_child)
