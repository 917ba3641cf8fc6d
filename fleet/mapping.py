"""Mapping: which signals become which series; a TOML file.

What: for each signal that is wanted its metric, unit and form (number, states, flags); what is followed as a label; labels
of one's own. Why: of two hundred signals a fleet asks for a few dozen, and which of them is a number in which unit only
its owner knows. It refuses, with every mistake and its place, a file that it does not understand in full: a signal that is
spelled wrong would be a gap that nobody sees.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping as Names
from importlib import resources
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fleet import limits, names
from schemas.limits import LABEL_KEY_CHARS, LABEL_VALUE_CHARS, METRIC_CHARS, UNIT_CHARS

DEFAULT: Final = "signals.toml"
#: Labels that the adapter itself makes.
OURS: Final = frozenset({
    "vehicle", "state", "part", "fate", "name", "phase", "audience", "lasted_s", "event", "interface", "service", "environment",
    "region",
})  # fmt: skip

LabelName = Annotated[str, Field(min_length=1, max_length=LABEL_KEY_CHARS)]
LabelValue = Annotated[str, Field(max_length=LABEL_VALUE_CHARS)]


class BadMapping(ValueError):
    """The mapping has mistakes"""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"{self.__doc__}: {'; '.join(problems)}")
        self.problems = problems


class Rule(BaseModel):
    """What becomes of one signal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str = Field(min_length=1, max_length=METRIC_CHARS)
    unit: str = Field("1", max_length=UNIT_CHARS)
    form: Literal["number", "states", "flags"] = "number"
    family: str = ""  # of states: the enumeration that a text is looked up in
    vehicle: bool = False  # one series a vehicle

    @model_validator(mode="after")
    def _known_family(self) -> Rule:
        if (self.form == "states") != bool(self.family):
            raise ValueError('`family` goes with form = "states", and only with it')
        if self.family and self.family not in names.BY_NAME:
            raise ValueError(f"family {self.family!r} is not known; one of {', '.join(sorted(names.BY_NAME))}")
        return self


class _Events(BaseModel):
    """What events of alerts and errors may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tags: list[str] | None = Field(
        default=None, max_length=limits.TAGS
    )  # of errors; none given: all that name no secret
    body: bool = False  # of errors, in their words


class _File(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str = Field("fleet", max_length=LABEL_VALUE_CHARS)
    environment: str = Field("", max_length=LABEL_VALUE_CHARS)
    region: str = Field("", max_length=LABEL_VALUE_CHARS)
    labels: dict[LabelName, LabelValue] = Field({}, max_length=limits.OWN_LABELS)
    follow: dict[LabelName, str] = Field({}, max_length=limits.FOLLOWED)
    signals: dict[str, Rule] = Field({}, max_length=limits.SIGNALS)
    events: _Events = _Events()


@dataclasses.dataclass(frozen=True, slots=True)
class Mapping:
    """The file, by numbers of signals. `follow`: number of a signal -> the label that has its newest value. `tags`, `body`: what
    an error's event may say of them; None are all tags."""

    service: str
    environment: str
    region: str
    labels: tuple[tuple[str, str], ...]
    follow: Names[int, str]
    rules: Names[int, Rule]
    tags: frozenset[str] | None = None
    body: bool = False


def read(text: str) -> Mapping:
    """Of the text of a file. Raises BadMapping, all mistakes at once."""
    try:
        found = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadMapping([f"not TOML: {error}"]) from error
    except ValidationError as error:
        raise BadMapping([_problem(one["loc"], one["msg"]) for one in error.errors()]) from error
    problems = [*_unknown(found), *_taken(found)]
    if sum(rule.form == "flags" for rule in found.signals.values()) > limits.FLAG_SIGNALS:
        problems.append(f"signals: more than {limits.FLAG_SIGNALS} of form flags")
    if problems:
        raise BadMapping(problems)
    return Mapping(
        found.service,
        found.environment,
        found.region,
        tuple(sorted(found.labels.items())),
        {_number(signal): label for label, signal in found.follow.items()},
        {_number(signal): rule for signal, rule in found.signals.items()},
        None if found.events.tags is None else frozenset(found.events.tags),
        found.events.body,
    )


def default() -> str:
    """The text of the mapping that is shipped."""
    return resources.files("fleet").joinpath(DEFAULT).read_text("utf-8")


def _number(signal: str) -> int:
    return names.signal_number(signal) or 0


def _problem(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place)) or 'the file'}: {message.removeprefix('Value error, ')}"


def _unknown(found: _File) -> list[str]:
    signals = {**dict.fromkeys(found.signals, "signals"), **dict.fromkeys(found.follow.values(), "follow")}
    hint = "a name of fleet-telemetry's vehicle_data.proto, or field_<number>"
    return [
        f"{place}.{one}: no such signal; {hint}" for one, place in signals.items() if names.signal_number(one) is None
    ]


def _taken(found: _File) -> list[str]:
    twice = found.labels.keys() & found.follow.keys()
    return [
        *(f"labels.{one}: also under follow" for one in sorted(twice)),
        *(
            f"{one}: a label that the adapter itself makes"
            for one in sorted((found.labels.keys() | found.follow.keys()) & OURS)
        ),
    ]
