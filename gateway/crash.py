"""Crash: end this gateway at a named step of a request, for whoever proves what a kill there costs.

What: with TOCSIN_GATEWAY_CRASH_AT=after_ack:3 the process gets SIGKILL when a request comes by that step for the third
time. Why: between Kafka's word and the client's answer lies less than a millisecond, and only a gateway that dies there
shows that a repeat is counted once. It refuses to do anything without that variable: a step then calls a function that returns.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Callable

from gateway.settings import PREFIX

VARIABLE = f"{PREFIX}CRASH_AT"
#: `before_ack`: handed to the producer, nobody knows whether Kafka has it; `after_ack`: Kafka has it, the client does not know.
STEPS = ("before_ack", "after_ack")
_FORM = re.compile(rf"({'|'.join(STEPS)})(?::([1-9]\d*))?")


class BadCrashPoint(SystemExit):
    """The variable names no step."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def points(wanted: str | None = None, die: Callable[[], None] = _die) -> Callable[[str], None]:
    """What a request calls with the name of each step that it comes by. Raises BadCrashPoint."""
    wanted = os.environ.get(VARIABLE, "") if wanted is None else wanted
    if not wanted:
        return lambda step: None
    form = _FORM.fullmatch(wanted)
    if form is None:
        raise BadCrashPoint(f"{VARIABLE}={wanted}: step:times, where step is one of {', '.join(STEPS)}")
    step, last, met = form[1], int(form[2] or "1"), itertools.count(1)

    def reach(here: str) -> None:
        if here == step and next(met) == last:
            die()

    return reach
