"""A crash point counts its own step, belongs to one stage, and is nothing without its variable."""

from __future__ import annotations

import pytest

from access import crash

VARIABLE, STEPS = "MADE_CRASH_AT", ("before", "after")


@pytest.mark.parametrize(
    ("stage", "wanted", "steps", "dies_at"),
    [
        ("", "after:2", "baba", 4),
        ("", "before", "ba", 1),
        ("", "after:3", "baba", 0),
        ("", "", "baba", 0),
        ("merge", "merge.after:2", "bababa", 4),
        ("notify", "merge.after:2", "bababa", 0),
        ("fleet-cars_V", "fleet-cars_V.after:2", "bababa", 4),
        ("merge", "", "ba", 0),
    ],
)
def test_it_dies_when_its_step_is_met_for_the_last_time_and_only_then(stage, wanted, steps, dies_at):
    met, deaths = [], []
    reach = crash.points(VARIABLE, STEPS, stage, wanted, lambda: deaths.append(len(met)))
    for step in steps:
        met.append(step)
        reach({"b": "before", "a": "after"}[step])
    assert deaths == ([dies_at] if dies_at else [])


def test_the_variable_is_read(monkeypatch):
    monkeypatch.setenv(VARIABLE, "after")
    deaths = []
    crash.points(VARIABLE, STEPS, die=lambda: deaths.append(1))("after")
    assert deaths == [1]


@pytest.mark.parametrize(
    ("stage", "wrong"),
    [
        *(("", wrong) for wrong in ("merge.after", "after:0", "after:x", "later", "after:2 ")),
        *(("merge", wrong) for wrong in ("merge", "after", "merge.nowhere:1", "merge.before:x")),
    ],
)
def test_what_names_no_step_stops_the_start(stage, wrong):
    with pytest.raises(crash.BadCrashPoint, match=VARIABLE):
        crash.points(VARIABLE, STEPS, stage, wrong)
