"""Messages: what fleet-telemetry says, as values.

What: one class for each kind of record, and the values that a signal may have. Why: its records come as protobuf or as
JSON, and what they mean is the same. It refuses to know either encoding.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping


class Gap(enum.Enum):
    """Why a signal has no value."""

    INVALID = "invalid"  # the vehicle says so
    MISSING = "missing"  # the datum is empty


class Opaque(enum.Enum):
    """Values that are no measurement."""

    PLACE = "place"
    CLOCK = "clock"
    NEW = "new"  # of a kind that came after this code


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """One symbol of an enumeration: its family (`fleet.names`) and its name there."""

    family: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Flags:
    """Several booleans in one: doors, tyres."""

    of: Mapping[str, bool]


SignalValue = float | bool | str | State | Flags | Gap | Opaque


@dataclasses.dataclass(frozen=True, slots=True)
class Signals:
    """Topic `V`. `values`: (number of the signal, its value), in the order of the record."""

    vin: str
    created_ms: int
    values: tuple[tuple[int, SignalValue], ...]
    resent: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One alert or error. `ended_ms` 0: it has not. An alert has audiences; an error tags, in its order, and a body."""

    name: str
    started_ms: int
    ended_ms: int = 0
    audiences: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    body: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Reports:
    """Topic `alerts` or `errors`."""

    vin: str
    created_ms: int
    reports: tuple[Report, ...]


class Link(enum.IntEnum):
    """What happened to a connection; the order is the wire's."""

    UNKNOWN = 0
    CONNECTED = 1
    DISCONNECTED = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Connectivity:
    """Topic `connectivity`."""

    vin: str
    created_ms: int
    connection: str
    link: Link
    interface: str


Message = Signals | Reports | Connectivity
