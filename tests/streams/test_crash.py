"""A worker's crash points are the steps of a checkpoint, of one stage."""

from __future__ import annotations

import pytest

from access.crash import BadCrashPoint
from streams import crash


def test_its_steps_are_known_and_others_stop_the_start():
    for step in crash.STEPS:
        crash.points("notify", f"merge.{step}")(step)  # of another stage, so nothing happens
    for wrong in ("before_ack", "merge.after_ack"):
        with pytest.raises(BadCrashPoint, match=crash.VARIABLE):
            crash.points("merge", wrong)
