"""Crash: end this process at a named step, for whoever proves what a kill there costs.

What: with `step:3` in its variable the process gets SIGKILL when it comes by that step for the third time. Why: a kill at a
random moment rarely falls between two steps that follow each other at once. It refuses to do anything without that variable: a
step then calls a function that returns.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Callable, Sequence

Reach = Callable[[str], None]

_FORM = re.compile(r"(?:(?P<stage>[\w-]+)\.)?(?P<step>\w+)(?::(?P<times>[1-9]\d*))?")


class BadCrashPoint(SystemExit):
    """The variable names no step."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def points(
    variable: str, steps: Sequence[str], stage: str = "", wanted: str | None = None, die: Callable[[], None] = _die
) -> Reach:
    """What is called with the name of each step that is come by. Raises BadCrashPoint.

    With a `stage` the variable says `stage.step`, and another stage's points are not this one's. `wanted`: instead of the variable.
    """
    wanted = os.environ.get(variable, "") if wanted is None else wanted
    if not wanted:
        return _pass
    form = _FORM.fullmatch(wanted)
    if form is None or form["step"] not in steps or bool(form["stage"]) != bool(stage):
        expected = "stage.step:times" if stage else "step:times"
        raise BadCrashPoint(f"{variable}={wanted}: {expected}, where step is one of {', '.join(steps)}")
    if stage and form["stage"] != stage:
        return _pass
    step, last, met = form["step"], int(form["times"] or "1"), itertools.count(1)

    def reach(here: str) -> None:
        if here == step and next(met) == last:
            die()

    return reach


def _pass(step: str) -> None:
    """Not here."""
