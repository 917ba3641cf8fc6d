"""Wire: remote write's messages, read field by field.

What: both versions' requests to the same series with labels, type and samples. Why: four small messages need no generated
code, and a reader of our own has our limits. It refuses with 400 what is not such a message; unknown fields are skipped, as
protobuf asks.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator, Mapping
from typing import Final

from gateway.refusal import bad

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}
_TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")


@dataclasses.dataclass(slots=True)
class Written:
    """One series: labels (`__name__` is the metric's), type where it is told, samples as (value, ms, start ms)."""

    labels: dict[str, str]
    kind: str = "unknown"
    unit: str = ""
    samples: list[tuple[float, int, int]] = dataclasses.field(default_factory=list)
    histograms: int = 0
    exemplars: int = 0


@dataclasses.dataclass(slots=True)
class Request:
    """Series, and types by metric family where they come by themselves (1.0)."""

    series: list[Written]
    kinds: Mapping[str, str]


def read_v1(body: bytes) -> Request:
    """A prometheus.WriteRequest. Raises Refusal."""
    try:
        found, kinds = [], {}
        for number, value in _fields(memoryview(body)):
            if number == 1:
                found.append(_series_v1(_octets(value)))
            elif number == 3:
                fields = dict(_fields(_octets(value)))
                kinds[_text(fields.get(2, b""))] = _type(fields.get(1, 0))
        return Request(found, kinds)
    except (ValueError, IndexError, struct.error) as error:
        raise bad("remote_write", "not a prometheus.WriteRequest") from error


def read_v2(body: bytes) -> Request:
    """An io.prometheus.write.v2.Request. Raises Refusal."""
    try:
        symbols: list[str] = []
        raw: list[memoryview] = []
        for number, value in _fields(memoryview(body)):
            if number == 4:
                symbols.append(_text(value))
            elif number == 5:
                raw.append(_octets(value))
        if symbols and symbols[0]:
            raise ValueError("the first symbol is the empty one")
        return Request([_series_v2(one, symbols) for one in raw], {})
    except (ValueError, IndexError, struct.error) as error:
        raise bad("remote_write", "not an io.prometheus.write.v2.Request") from error


def _series_v1(data: memoryview) -> Written:
    out = Written({})
    for number, value in _fields(data):
        if number == 1:
            label = dict(_fields(_octets(value)))
            out.labels[_text(label.get(1, b""))] = _text(label.get(2, b""))
        elif number == 2:
            out.samples.append(_sample(_octets(value)))
        elif number == 3:
            out.exemplars += 1
        elif number == 4:
            out.histograms += 1
    return out


def _series_v2(data: memoryview, symbols: list[str]) -> Written:
    out = Written({})
    references: list[int] = []
    created = 0
    for number, value in _fields(data):
        if number == 1:
            references += [value] if isinstance(value, int) else _packed(value)
        elif number == 2:
            out.samples.append(_sample(_octets(value)))
        elif number == 3:
            out.histograms += 1
        elif number == 4:
            out.exemplars += 1
        elif number == 5:
            about = dict(_fields(_octets(value)))
            out.kind = _type(about.get(1, 0))
            out.unit = symbols[_whole(about.get(4, 0))] if about.get(4) else ""
        elif number == 6:
            created = _signed(_whole(value))
    if len(references) % 2:
        raise ValueError("a label without a value")
    out.labels = {symbols[name]: symbols[text] for name, text in zip(references[::2], references[1::2], strict=True)}
    if created:
        out.samples = [(value, at, start or created) for value, at, start in out.samples]
    return out


def _sample(data: memoryview) -> tuple[float, int, int]:
    fields = dict(_fields(data))
    value = fields.get(1, b"\0" * 8)
    (number,) = struct.unpack("<d", bytes(_octets(value)))
    return number, _signed(_whole(fields.get(2, 0))), _signed(_whole(fields.get(3, 0)))


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field; numbers for varints, bytes for the rest. Raises ValueError."""
    at, end = 0, len(data)
    while at < end:
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, at = _read_varint(data, at)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if size > end - at:
            raise ValueError("a field beyond the end")
        yield key >> 3, data[at : at + size]
        at += size


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise ValueError("a number of more than ten bytes")


def _packed(data: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _read_varint(data, at)
        found.append(value)
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _octets(value: int | memoryview | bytes) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where bytes are expected")  # noqa: TRY004  # of the message, not of a caller
    return memoryview(value)


def _whole(value: int | memoryview | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes where a number is expected")  # noqa: TRY004  # of the message, not of a caller
    return value


def _text(value: int | memoryview | bytes) -> str:
    return bytes(_octets(value)).decode()


def _type(value: int | memoryview | bytes) -> str:
    number = _whole(value)
    return _TYPES[number] if number < len(_TYPES) else "unknown"
