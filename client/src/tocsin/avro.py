"""Avro: the five pieces of its binary form that a batch is made of, written without a library.

What: numbers, text, bytes, maps and arrays to bytes. Why: importing an Avro library costs a host more than everything
else of the client, and a batch needs these pieces only; a test reads what they write with the schema file itself. It
refuses to read, and to know any schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NONE = b"\x00"  # an array or map without items, and the end of each other one


def long(value: int) -> bytes:
    """A zigzag varint of a 64-bit integer."""
    rest = (value << 1) ^ (value >> 63)
    if rest < 0x80:
        return rest.to_bytes(1, "little")
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def blob(data: bytes) -> bytes:
    """A length and so many bytes."""
    return long(len(data)) + data


def text(value: str) -> bytes:
    """UTF-8 with its length."""
    return blob(value.encode())


def mapping(items: Iterable[tuple[str, str]]) -> bytes:
    """A map of text."""
    return array([text(key) + text(value) for key, value in items])


def array(items: Sequence[bytes]) -> bytes:
    """An array of items that are encoded already, as one block."""
    return b"".join((long(len(items)), *items, NONE)) if items else NONE
