"""Protobuf: a message's fields, one after the other, without generated code.

What: `fields` walks a message, the others read one field's value as what it should be. Why: the few small messages of others
that come in here need no generated code, and a reader of our own has our limits. It refuses, with ValueError, what is not
protobuf; fields that a caller does not know are its to skip, as protobuf asks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES: Final = {FIXED64: 8, FIXED32: 4}
_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF

#: A field's value: a number of a varint, bytes of anything else.
Value = int | memoryview | bytes


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field, in the order of the message. Raises ValueError."""
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        wire = key & 7
        if wire == VARINT:
            value, at = varint(data, at)
            yield key >> 3, value
            continue
        if wire == BYTES:
            size, at = varint(data, at)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if size > end - at:
            raise ValueError("a field beyond the end")
        yield key >> 3, data[at : at + size]
        at += size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """(the number at `at`, where it ends). Raises ValueError."""
    value = shift = 0
    while shift < 70 and at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _WORD, at
        shift += 7
    raise ValueError("a number of more than ten bytes, or one that is cut off")


def packed(data: memoryview) -> list[int]:
    """The varints of a packed field. Raises ValueError."""
    found, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


def signed(value: int) -> int:
    """An int32, int64 or enum, of its varint."""
    return value - (1 << 64) if value >= 1 << 63 else value


def octets(value: Value) -> memoryview:
    """The bytes of a field that has them. Raises ValueError."""
    if isinstance(value, int):
        raise ValueError("a number where bytes are expected")  # noqa: TRY004  # of the message, not of a caller
    return memoryview(value)


def whole(value: Value) -> int:
    """The number of a field that has one. Raises ValueError."""
    if not isinstance(value, int):
        raise ValueError("bytes where a number is expected")  # noqa: TRY004  # of the message, not of a caller
    return value


def text(value: Value) -> str:
    """A string. Raises ValueError."""
    return bytes(octets(value)).decode()


def double(value: Value) -> float:
    """A double. Raises ValueError."""
    return _real("<d", value)


def single(value: Value) -> float:
    """A float. Raises ValueError."""
    return _real("<f", value)


def _real(form: str, value: Value) -> float:
    data = octets(value)
    if len(data) != struct.calcsize(form):
        raise ValueError(f"{len(data)} bytes where a real number is expected")
    return float(struct.unpack(form, data)[0])
