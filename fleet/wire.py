"""Wire: fleet-telemetry's protobuf messages, read field by field.

What: a record's value to one of `fleet.messages`. Why: its server writes what the vehicle sent, so a value that the protocol
learned later must cost itself and not its record. It refuses, with CorruptRecord, what is not such a message; fields that it
does not know are skipped, and a kind of value that it does not know is opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from fleet import limits, names
from fleet.messages import Connectivity, Flags, Gap, Link, Opaque, Report, Reports, Signals, SignalValue
from schemas import corrupt
from schemas.corrupt import CorruptRecord
from schemas.protobuf import Value, double, fields, octets, signed, single, text, whole

T = TypeVar("T")
M = TypeVar("M", Signals, Reports, Connectivity)

_NS_PER_MS: Final = 1_000_000
DOORS: Final = ("DriverFront", "DriverRear", "PassengerFront", "PassengerRear", "TrunkFront", "TrunkRear")
TYRES: Final = (
    "front_left", "front_right", "rear_left", "rear_right", "semi_middle_axle_left_2", "semi_middle_axle_right_2",
    "semi_rear_axle_left", "semi_rear_axle_right", "semi_rear_axle_left_2", "semi_rear_axle_right_2",
)  # fmt: skip


def signals(data: bytes) -> Signals:
    """A Payload. Raises CorruptRecord."""
    return _read(_signals, data, "Payload")


def alerts(data: bytes) -> Reports:
    """VehicleAlerts. Raises CorruptRecord."""
    return _read(lambda view: _reports(view, _alert), data, "VehicleAlerts")


def errors(data: bytes) -> Reports:
    """VehicleErrors. Raises CorruptRecord."""
    return _read(lambda view: _reports(view, _error), data, "VehicleErrors")


def connectivity(data: bytes) -> Connectivity:
    """VehicleConnectivity. Raises CorruptRecord."""
    return _read(_connectivity, data, "VehicleConnectivity")


def _read(reader: Callable[[memoryview], M], data: bytes, what: str) -> M:
    try:
        return reader(memoryview(data))
    except CorruptRecord:
        raise
    except ValueError as error:
        raise CorruptRecord(corrupt.FRAMING, -1, f"not a {what}: {error}") from error


def _signals(view: memoryview) -> Signals:
    vin, created, resent = "", memoryview(b""), False
    values: list[tuple[int, SignalValue]] = []
    for number, value in fields(view):
        if number == 1:
            values.append(_datum(octets(value)))
        elif number == 2:
            created = octets(value)
        elif number == 3:
            vin = text(value)
        elif number == 4:
            resent = bool(whole(value))
    return Signals(vin, _time_ms(created), tuple(bounded(values)), resent)


def _datum(view: memoryview) -> tuple[int, SignalValue]:
    signal, found = 0, memoryview(b"")
    for number, value in fields(view):
        if number == 1:
            signal = whole(value)
        elif number == 2:
            found = octets(value)
    return signal, _value(found)


def _value(view: memoryview) -> SignalValue:
    """Of a oneof the last one counts, as protobuf has it."""
    found: SignalValue = Gap.MISSING
    for number, value in fields(view):
        family = names.BY_NUMBER.get(number)
        if family is not None:
            found = family.state(signed(whole(value)))
        elif number in _PLAIN:
            found = _PLAIN[number](value)
        else:
            found = Opaque.NEW
    return found


def _flags(value: Value, told: tuple[str, ...]) -> Flags:
    on = {number for number, flag in fields(octets(value)) if whole(flag)}
    return Flags({name: number in on for number, name in enumerate(told, start=1)})


#: Number of the field in a Value -> what it means; false for `invalid` says nothing.
_PLAIN: Final[Mapping[int, Callable[[Value], SignalValue]]] = {
    1: text,
    2: lambda value: float(signed(whole(value))),
    3: lambda value: float(signed(whole(value))),
    4: single,
    5: double,
    6: lambda value: bool(whole(value)),
    7: lambda value: Opaque.PLACE,
    10: lambda value: Gap.INVALID if whole(value) else Gap.MISSING,
    21: lambda value: _flags(value, DOORS),
    31: lambda value: Opaque.CLOCK,
    39: lambda value: _flags(value, TYRES),
}


def _reports(view: memoryview, one: Callable[[memoryview], Report]) -> Reports:
    vin, created = "", memoryview(b"")
    found: list[Report] = []
    for number, value in fields(view):
        if number == 1:
            found.append(one(octets(value)))
        elif number == 2:
            created = octets(value)
        elif number == 3:
            vin = text(value)
    return Reports(vin, _time_ms(created), tuple(bounded(found)))


def _alert(view: memoryview) -> Report:
    found = dict(fields(view))
    started, ended = (_time_ms(octets(found.get(number, b""))) for number in (3, 4))
    return Report(text(found.get(1, b"")), started, ended)


def _error(view: memoryview) -> Report:
    found = dict(fields(view))
    return Report(text(found.get(2, b"")), _time_ms(octets(found.get(1, b""))))


def _connectivity(view: memoryview) -> Connectivity:
    found = dict(fields(view))
    return Connectivity(
        text(found.get(1, b"")),
        _time_ms(octets(found.get(4, b""))),
        text(found.get(2, b"")),
        link_of(whole(found.get(3, 0))),
        text(found.get(5, b"")),
    )


def link_of(number: int) -> Link:
    """Of its number; one that came after this code is unknown."""
    return Link(number) if number in Link._value2member_map_ else Link.UNKNOWN


def _time_ms(view: memoryview) -> int:
    """A google.protobuf.Timestamp; 0 for none."""
    found = dict(fields(view))
    return signed(whole(found.get(1, 0))) * 1000 + signed(whole(found.get(2, 0))) // _NS_PER_MS


def bounded(items: list[T]) -> list[T]:
    """No more of them than a record may hold. Raises CorruptRecord."""
    if len(items) > limits.ITEMS:
        raise CorruptRecord(corrupt.SIZE, -1, f"{len(items)} items in one record, {limits.ITEMS} at most")
    return items
