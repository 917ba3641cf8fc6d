"""Values as rules want them; whatever is no value is a gap with a reason."""

import math

import pytest

from fleet.mapping import Rule
from fleet.messages import Flags, Gap, Opaque, State
from fleet.reading import Fate, read

NUMBER = Rule(metric="m")
GEAR = Rule(metric="m", form="states", family="ShiftState")
DOORS = Rule(metric="m", form="flags")


@pytest.mark.parametrize(
    ("value", "rule", "found"),
    [
        (1.5, NUMBER, 1.5), (True, NUMBER, 1.0), (" 61.5 ", NUMBER, 61.5), ("0.00100", NUMBER, 0.001), ("False", NUMBER, 0.0),
        (Gap.INVALID, NUMBER, Fate.INVALID), (Gap.MISSING, GEAR, Fate.MISSING), (math.nan, NUMBER, Fate.INVALID),
        ("nan", NUMBER, Fate.INVALID), (math.inf, NUMBER, Fate.UNREADABLE), (2.0**43, NUMBER, Fate.UNREADABLE),
        ("<none>", NUMBER, Fate.UNREADABLE), ("", NUMBER, Fate.MISSING), (Opaque.PLACE, NUMBER, Fate.UNREADABLE),
        (State("ShiftState", "D"), NUMBER, Fate.UNREADABLE), (State("ShiftState", "D"), GEAR, State("ShiftState", "D")),
        ("ShiftStateD", GEAR, State("ShiftState", "D")), ("D", GEAR, State("ShiftState", "D")), ("", GEAR, Fate.MISSING),
        (State("ShiftState", "Unknown"), GEAR, Fate.INVALID), ("ShiftStateSNA", GEAR, Fate.INVALID),
        (1.0, GEAR, Fate.UNREADABLE), (Flags({"a": True}), DOORS, Flags({"a": True})), ("x", DOORS, Fate.UNREADABLE),
        (Opaque.NEW, DOORS, Fate.UNREADABLE), ("2024_12", NUMBER, Fate.UNREADABLE), ("\u0661\u0662", NUMBER, Fate.UNREADABLE),
        ("1.5e3", NUMBER, 1500.0), ("0x10", NUMBER, Fate.UNREADABLE),
    ],
)  # fmt: skip
def test_a_value_as_its_rule_wants_it_or_a_gap(value, rule, found):
    assert read(value, rule) == found
