"""A gateway's crash point counts its own step, and is nothing without its variable."""

from __future__ import annotations

import pytest

from gateway import crash


@pytest.mark.parametrize(
    ("wanted", "steps", "dies_at"),
    [("after_ack:2", "baba", 4), ("before_ack", "ba", 1), ("after_ack:3", "baba", 0), ("", "baba", 0)],
)
def test_it_dies_when_its_step_is_met_for_the_last_time_and_only_then(wanted: str, steps: str, dies_at: int) -> None:
    met: list[str] = []
    deaths: list[int] = []
    reach = crash.points(wanted, lambda: deaths.append(len(met)))
    for step in steps:
        met.append(step)
        reach({"b": "before_ack", "a": "after_ack"}[step])
    assert deaths == ([dies_at] if dies_at else [])


@pytest.mark.parametrize("wrong", ["merge.after_ack", "after_ack:0", "after_ack:x", "later"])
def test_what_names_no_step_stops_the_start(wrong: str) -> None:
    with pytest.raises(crash.BadCrashPoint, match=crash.VARIABLE):
        crash.points(wrong)
