"""A gateway's crash points are the steps of a request."""

from __future__ import annotations

import pytest

from access.crash import BadCrashPoint
from gateway import crash


def test_its_steps_are_known_and_others_stop_the_start():
    for step in crash.STEPS:
        crash.points(f"{step}:3")("another step")
    for wrong in ("merge.after_ack", "after_outputs"):
        with pytest.raises(BadCrashPoint, match=crash.VARIABLE):
            crash.points(wrong)
