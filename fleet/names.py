"""Names: the numbers of fleet-telemetry's signals and states, and what they are called.

What: `names.json`, read once. Why: a mapping and a label say names, the wire says numbers. It refuses to guess: a signal
that came after the table is `field_<number>`, a state that did is `other`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

from fleet.limits import OTHER
from fleet.messages import State

_LATER: Final = re.compile(r"field_([0-9]{1,4})")


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """An enumeration: its number in a Value, its field's name there, its own name, its states' names in order."""

    number: int
    field: str
    name: str
    states: tuple[str, ...]

    def state(self, number: int) -> State:
        """Of its number on the wire."""
        return State(self.name, self.states[number] if 0 <= number < len(self.states) else OTHER)

    def called(self, text: str) -> State:
        """Of its name, with the family in front or without."""
        short = text.removeprefix(self.name).lstrip("_")
        return State(self.name, short if short in self.states else OTHER)


_TABLE: Final = json.loads(resources.files("fleet").joinpath("names.json").read_text("utf-8"))
_FAMILIES: Final = tuple(
    Family(int(number), field, name, tuple(states)) for number, (field, name, states) in _TABLE["states"].items()
)
SIGNALS: Final[Mapping[str, int]] = _TABLE["signals"]
BY_NUMBER: Final[Mapping[int, Family]] = {family.number: family for family in _FAMILIES}
BY_NAME: Final[Mapping[str, Family]] = {family.name: family for family in _FAMILIES}
BY_FIELD: Final[Mapping[str, Family]] = {family.field: family for family in _FAMILIES}


def signal_number(name: str) -> int | None:
    """Of a signal's name, or of `field_<number>`; None for neither."""
    later = _LATER.fullmatch(name)
    return int(later[1]) if later else SIGNALS.get(name)
