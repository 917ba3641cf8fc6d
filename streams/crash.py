"""Crash: the steps of a checkpoint at which a worker can be told to end.

What: TOCSIN_CRASH_AT=merge.after_outputs:3, see `access.crash`. Why: exactness must survive an end between any two of them. It
refuses other steps.
"""

from __future__ import annotations

from access import crash

VARIABLE = "TOCSIN_CRASH_AT"
#: In the order in which a checkpoint comes by them. `before_outputs`: of the notify stage, after a channel has answered.
STEPS = ("after_apply", "before_outputs", "after_outputs", "in_snapshot", "after_snapshot", "before_ack")


def points(stage: str, wanted: str | None = None) -> crash.Reach:
    """What a stage calls with the name of each step that it comes by. Raises BadCrashPoint."""
    return crash.points(VARIABLE, STEPS, stage, wanted)
