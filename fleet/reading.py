"""Reading: a signal's value as its rule wants it, or why there is none.

What: numbers out of numbers, booleans and texts; states out of enumerations and texts; flags. Why: older firmware sends
almost everything as text, newer firmware typed. It refuses to make up a value: invalid, missing and unreadable ones are gaps.
"""

from __future__ import annotations

import enum
import math
from typing import Final

from fleet import names
from fleet.mapping import Rule
from fleet.messages import Flags, Gap, SignalValue, State
from schemas.limits import VALUE_BOUND

#: States with which an enumeration says that it has none.
NO_STATE: Final = frozenset({"Unknown", "Invalid", "SNA"})
_WORDS: Final = {"true": 1.0, "false": 0.0}


class Fate(enum.Enum):
    """What became of a signal."""

    READ = "read"
    REPEATED = "repeated"
    INVALID = "invalid"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNMAPPED = "unmapped"


Reading = float | State | Flags


def read(value: SignalValue, rule: Rule) -> Reading | Fate:
    """The reading, or its fate."""
    if isinstance(value, Gap):
        return Fate.INVALID if value is Gap.INVALID else Fate.MISSING
    if rule.form == "number":
        return _number(value)
    if rule.form == "states":
        return _state(value, rule.family)
    return value if isinstance(value, Flags) else Fate.UNREADABLE


def _number(value: SignalValue) -> float | Fate:
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return Fate.MISSING
        if "_" in text or not text.isascii():  # Python reads such a text as a number, nobody else does
            return Fate.UNREADABLE
        try:
            value = _WORDS[text.lower()] if text.lower() in _WORDS else float(text)
        except ValueError:
            return Fate.UNREADABLE
    if not isinstance(value, float | bool):
        return Fate.UNREADABLE
    number = float(value)
    if math.isnan(number):
        return Fate.INVALID
    return number if abs(number) < VALUE_BOUND else Fate.UNREADABLE


def _state(value: SignalValue, family: str) -> State | Fate:
    if isinstance(value, str):
        if not value.strip():
            return Fate.MISSING
        value = names.BY_NAME[family].called(value.strip())
    if not isinstance(value, State):
        return Fate.UNREADABLE
    return Fate.INVALID if value.name in NO_STATE else value
