"""Crash: end this process at a named step, for whoever proves what a kill there costs.

What: with TOCSIN_CRASH_AT=merge.after_outputs:3 the process gets SIGKILL when the merge stage comes by that step for the
third time. Why: a kill at a random moment rarely falls between two steps that follow each other at once. It refuses to
do anything without that variable: a step then calls a function that returns.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

VARIABLE = "TOCSIN_CRASH_AT"
#: In the order in which a checkpoint comes by them. `before_outputs`: of the notify stage, after a channel has answered.
STEPS = ("after_apply", "before_outputs", "after_outputs", "in_snapshot", "after_snapshot", "before_ack")


class BadCrashPoint(SystemExit):
    """The variable names no step."""


def points(stage: str, wanted: str | None = None, die: Callable[[], None] | None = None) -> Callable[[str], None]:
    """What a stage calls with the name of each step that it comes by. Raises BadCrashPoint."""
    wanted = os.environ.get(VARIABLE, "") if wanted is None else wanted
    if not wanted:
        return _pass
    place, _, times = wanted.partition(":")
    chosen, _, step = place.partition(".")
    if step not in STEPS or not (times or "1").isdecimal():
        raise BadCrashPoint(f"{VARIABLE}={wanted}: stage.step:times, where step is one of {', '.join(STEPS)}")
    if chosen != stage:
        return _pass
    left = int(times or "1")

    def reach(here: str) -> None:
        nonlocal left
        left -= here == step
        if not left:
            (die or _die)()

    return reach


def _pass(step: str) -> None:
    """Not here."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
