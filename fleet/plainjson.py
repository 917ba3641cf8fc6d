"""Plain JSON: the same messages, as fleet-telemetry writes them with `transmit_decoded_records`.

What: a record's value to one of `fleet.messages`. Why: protobuf's own JSON has names where the wire has numbers, lowerCamelCase
fields and 64-bit numbers as texts. It refuses, with CorruptRecord, what is not such an object; fields and kinds of values
that it does not know are treated as `fleet.wire` treats them.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from fleet import names
from fleet.limits import OTHER
from fleet.messages import Connectivity, Flags, Gap, Link, Opaque, Report, Reports, Signals, SignalValue
from fleet.wire import AUDIENCES, DOORS, TYRES, audience, bounded
from schemas import corrupt
from schemas.corrupt import CorruptRecord

M = TypeVar("M", Signals, Reports, Connectivity)
Fields = Mapping[str, object]

_AUDIENCES: Final = {name.replace("_", ""): name for name in AUDIENCES} | {"unknownaudience": AUDIENCES[0]}
_FRACTION: Final = re.compile(r"\.(\d+)")
_HALF: Final = re.compile("[\ud800-\udfff]")  # JSON can say it, UTF-8 cannot
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_REALS: Final = frozenset({"intValue", "longValue", "floatValue", "doubleValue"})


class _Unfit(ValueError):
    """Not such a message; the words are for people, and hold nothing of it"""


def is_json(data: bytes) -> bool:
    """No message in protobuf begins with a brace: it would be a group."""
    return data[:1] == b"{"


def signals(data: bytes) -> Signals:
    """A Payload. Raises CorruptRecord."""
    return _read(_signals, data, "Payload")


def alerts(data: bytes) -> Reports:
    """VehicleAlerts. Raises CorruptRecord."""
    return _read(lambda found: _reports(found, "alerts", _alert), data, "VehicleAlerts")


def errors(data: bytes) -> Reports:
    """VehicleErrors. Raises CorruptRecord."""
    return _read(lambda found: _reports(found, "errors", _error), data, "VehicleErrors")


def connectivity(data: bytes) -> Connectivity:
    """VehicleConnectivity. Raises CorruptRecord."""
    return _read(_connectivity, data, "VehicleConnectivity")


def _read(reader: Callable[[Fields], M], data: bytes, what: str) -> M:
    try:
        return reader(_fields(json.loads(data)))
    except CorruptRecord:
        raise
    except (ValueError, RecursionError, OverflowError) as error:
        told = (
            error if isinstance(error, _Unfit | json.JSONDecodeError) else type(error).__name__
        )  # no word of the record
        raise CorruptRecord(corrupt.FRAMING, -1, f"not a {what} in JSON: {told}") from error


def _fields(value: object) -> Fields:
    if not isinstance(value, dict):
        raise _Unfit("an object is expected")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list | None):
        raise _Unfit("a list is expected")
    return bounded(value or [])


def _items(value: object) -> list[Fields]:
    return [_fields(item) for item in _list(value)]


def _text(value: object) -> str:
    if not isinstance(value, str | None):
        raise _Unfit("a text is expected")
    if value and not value.isascii() and _HALF.search(value):
        raise _Unfit("half a character")
    return value or ""


def _signals(found: Fields) -> Signals:
    values = tuple(_datum(one) for one in _items(found.get("data")))
    return Signals(_text(found.get("vin")), _time_ms(found.get("createdAt")), values, found.get("isResend") is True)


def _datum(found: Fields) -> tuple[int, SignalValue]:
    key = found.get("key")
    number = key if isinstance(key, int) else names.signal_number(_text(key))
    value = found.get("value")
    return number or 0, Gap.MISSING if value is None else _value(_fields(value))


def _value(found: Fields) -> SignalValue:
    answer: SignalValue = Gap.MISSING
    for name, value in found.items():
        family = _FAMILIES.get(name)
        if family is not None:
            answer = family.state(value) if isinstance(value, int) else family.called(_text(value))
        elif name in _REALS:
            answer = _real(value)
        else:
            answer = _PLAIN.get(name, _new)(value)
    return answer


def _real(value: object) -> float:
    """A number, or a text: of an int64, or of NaN and the infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Unfit("a number is expected")
    return float(value)


def _new(value: object) -> SignalValue:
    return Opaque.NEW


def _flags(value: object, told: tuple[str, ...], *, camel: bool) -> Flags:
    found = _fields(value)
    return Flags({name: found.get(_camel(name) if camel else name) is True for name in told})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_FAMILIES: Final = {_camel(field): family for field, family in names.BY_FIELD.items()}
_PLAIN: Final[Mapping[str, Callable[[object], SignalValue]]] = {
    "stringValue": _text,
    "booleanValue": lambda value: value is True,
    "locationValue": lambda value: Opaque.PLACE,
    "invalid": lambda value: Gap.INVALID if value is True else Gap.MISSING,
    "doorValue": lambda value: _flags(value, DOORS, camel=False),
    "timeValue": lambda value: Opaque.CLOCK,
    "tireLocationValue": lambda value: _flags(value, TYRES, camel=True),
}


def _reports(found: Fields, of: str, one: Callable[[Fields], Report]) -> Reports:
    reports = tuple(one(item) for item in _items(found.get(of)))
    return Reports(_text(found.get("vin")), _time_ms(found.get("createdAt")), reports)


def _alert(found: Fields) -> Report:
    audiences = tuple(dict.fromkeys(map(_audience, _list(found.get("audiences")))))
    return Report(_text(found.get("name")), _time_ms(found.get("startedAt")), _time_ms(found.get("endedAt")), audiences)


def _audience(value: object) -> str:
    """Of its name, or of the number of one that came after its server; names were spelled in several ways."""
    if isinstance(value, int):
        return audience(value)
    return _AUDIENCES.get(_text(value).replace("_", "").lower(), OTHER)


def _error(found: Fields) -> Report:
    told = bounded(list(_fields(found.get("tags") or {}).items()))
    tags = tuple((_text(key), _text(value)) for key, value in told)
    return Report(_text(found.get("name")), _time_ms(found.get("createdAt")), tags=tags, body=_text(found.get("body")))


def _connectivity(found: Fields) -> Connectivity:
    return Connectivity(
        _text(found.get("vin")),
        _time_ms(found.get("createdAt")),
        _text(found.get("connectionId")),
        Link.__members__.get(str(found.get("status")), Link.UNKNOWN),
        _text(found.get("networkInterface")),
    )


def _time_ms(value: object) -> int:
    """RFC 3339 with up to nine digits of a second; 0 for none."""
    told = _text(value)
    if not told:
        return 0
    at = dt.datetime.fromisoformat(_FRACTION.sub(lambda part: "." + part[1][:6].ljust(6, "0"), told, count=1))
    if at.tzinfo is None:
        raise _Unfit("a time without its zone")
    return (at - _EPOCH) // _MILLISECOND
