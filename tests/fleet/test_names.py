"""Names and numbers, and what came later than the table."""

import pytest

from fleet import names
from fleet.messages import State


@pytest.mark.parametrize(("name", "number"), [("Soc", 8), ("SelfDrivingMilesSinceReset", 259), ("field_300", 300), ("Sox", None), ("field_99999", None)])  # fmt: skip
def test_signals_by_name_and_later_ones_by_number(name, number):
    assert names.signal_number(name) == number


def test_a_state_by_its_number_and_by_its_name_with_the_family_or_without():
    shift = names.BY_NAME["ShiftState"]
    assert shift.state(5) == shift.called("D") == shift.called("ShiftStateD") == State("ShiftState", "D")
    assert names.BY_NUMBER[41].called("CableTypeGB_AC").name == "GB_AC"
    assert shift.state(99) == shift.state(-1) == shift.called("sideways") == State("ShiftState", "other")


def test_every_family_begins_with_no_state():
    assert len(names.BY_NUMBER) == len(names.BY_FIELD) == 42
    assert {family.states[0] for family in names.BY_NUMBER.values()} == {"Unknown"}
