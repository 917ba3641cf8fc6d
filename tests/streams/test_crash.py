"""A crash point counts, belongs to one stage, and is nothing without its variable."""

import pytest

from streams import crash


def reached(stage: str, wanted: str, *steps: str) -> int:
    deaths = []
    reach = crash.points(stage, wanted, lambda: deaths.append(1))
    for step in steps:
        reach(step)
    return len(deaths)


def test_the_third_time_of_its_stage_and_step():
    steps = ("after_outputs", "before_ack", "after_outputs", "after_outputs")
    assert reached("merge", "merge.after_outputs:3", *steps) == 1
    assert reached("merge", "merge.after_outputs:4", *steps) == 0
    assert reached("notify", "merge.after_outputs:1", *steps) == 0
    assert reached("merge", "", *steps) == 0


@pytest.mark.parametrize("wrong", ["merge", "merge.nowhere:1", "merge.before_ack:x"])
def test_a_point_that_is_none_stops_the_start(wrong):
    with pytest.raises(crash.BadCrashPoint, match=crash.VARIABLE):
        crash.points("merge", wrong)
