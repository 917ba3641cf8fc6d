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
from schemas.protobuf import Value, double, fields, octets, packed, signed, single, text, whole

T = TypeVar("T")
M = TypeVar("M", Signals, Reports, Connectivity)

_NS_PER_MS: Final = 1_000_000
_BEYOND_MS: Final = 315_576_000_000_000
DOORS: Final = ("DriverFront", "DriverRear", "PassengerFront", "PassengerRear", "TrunkFront", "TrunkRear")
AUDIENCES: Final = ("unknown", "customer", "service", "service_fix")
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


def _split(view: memoryview, of: int) -> tuple[list[Value], dict[int, Value]]:
    """The values of the repeated field `of`, and of each other field the last one, as protobuf has it."""
    several: list[Value] = []
    others: dict[int, Value] = {}
    for number, value in fields(view):
        if number == of:
            several.append(value)
        else:
            others[number] = value
    return bounded(several), others


def _signals(view: memoryview) -> Signals:
    data, found = _split(view, 1)
    values = tuple(_datum(octets(one)) for one in data)
    return Signals(text(found.get(3, b"")), _time_ms(found.get(2, b"")), values, bool(whole(found.get(4, 0))))


def _datum(view: memoryview) -> tuple[int, SignalValue]:
    found = dict(fields(view))
    return whole(found.get(1, 0)), _value(octets(found.get(2, b"")))


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
    reports, found = _split(view, 1)
    told = tuple(one(octets(report)) for report in reports)
    return Reports(text(found.get(3, b"")), _time_ms(found.get(2, b"")), told)


def _alert(view: memoryview) -> Report:
    told, found = _split(view, 2)
    started, ended = (_alert_ms(found.get(number, b"")) for number in (3, 4))
    numbers = [number for value in told for number in ([value] if isinstance(value, int) else packed(octets(value)))]
    return Report(text(found.get(1, b"")), started, ended, tuple(dict.fromkeys(map(audience, bounded(numbers)))))


def _alert_ms(value: Value) -> int:
    """Some vehicles write ms where seconds belong, which newer servers mend: beyond ten thousand years."""
    found = _time_ms(value)
    return found // 1000 if found >= _BEYOND_MS else found


def audience(number: int) -> str:
    """Whom an alert is for, of its number."""
    return AUDIENCES[number] if 0 <= number < len(AUDIENCES) else limits.OTHER


def _error(view: memoryview) -> Report:
    told, found = _split(view, 3)
    tags = tuple(_tag(octets(one)) for one in told)
    return Report(text(found.get(2, b"")), _time_ms(found.get(1, b"")), tags=tags, body=text(found.get(4, b"")))


def _tag(view: memoryview) -> tuple[str, str]:
    found = dict(fields(view))
    return text(found.get(1, b"")), text(found.get(2, b""))


def _connectivity(view: memoryview) -> Connectivity:
    found = dict(fields(view))
    return Connectivity(
        text(found.get(1, b"")),
        _time_ms(found.get(4, b"")),
        text(found.get(2, b"")),
        link_of(whole(found.get(3, 0))),
        text(found.get(5, b"")),
    )


def link_of(number: int) -> Link:
    """Of its number; one that came after this code is unknown."""
    return Link(number) if number in Link._value2member_map_ else Link.UNKNOWN


def _time_ms(value: Value) -> int:
    """A google.protobuf.Timestamp; 0 for none."""
    found = dict(fields(octets(value)))
    return signed(whole(found.get(1, 0))) * 1000 + signed(whole(found.get(2, 0))) // _NS_PER_MS


def bounded(items: list[T]) -> list[T]:
    """No more of them than a record may hold. Raises CorruptRecord."""
    if len(items) > limits.ITEMS:
        raise CorruptRecord(corrupt.SIZE, -1, f"{len(items)} items in one record, {limits.ITEMS} at most")
    return items
