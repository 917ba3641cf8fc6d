"""Snapshot bytes: named integer and float columns, narrowed, compressed, checked.

What: `pack` writes columns and a JSON head; integers are stored as differences from their minimum (ascending columns
as steps) in the narrowest unsigned type. Why: a snapshot is written each few seconds, so both its size and its time
count, and most counts fit one byte. It refuses what it did not write: another version, a wrong checksum or lengths
that disagree raise CorruptState.

Layout: b"TSPK", u32 version, u32 crc of the rest, u32 length of the head, head (JSON), one zstd block of all columns,
then the frozen parts (bytes that the caller has compressed before and reuses), each as it is.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections.abc import Mapping

import cramjam
import numpy as np

from schemas.cells import Column

_MAGIC = b"TSPK"
_VERSION = 1
_PREFIX = struct.Struct("<4sIII")
_LEVEL = 1  # of zstd: level 3 saves 6 % of the bytes and doubles the time
_NARROW = (np.dtype("<u1"), np.dtype("<u2"), np.dtype("<u4"))


class CorruptState(ValueError):
    """These bytes are not a snapshot of this version."""


@dataclasses.dataclass(frozen=True, slots=True)
class Unpacked:
    """What `unpack` found."""

    meta: dict[str, str]
    columns: dict[str, Column]
    frozen: list[bytes]


def compress(data: bytes) -> bytes:
    """One zstd block."""
    return bytes(cramjam.zstd.compress(data, level=_LEVEL))


def decompress(data: bytes) -> bytes:
    """Inverse of `compress`. Raises CorruptState."""
    try:
        return bytes(cramjam.zstd.decompress(data))
    except cramjam.DecompressionError as error:
        raise CorruptState(str(error)) from error


def _stored(column: Column) -> tuple[Column, int, bool]:
    """(narrowed column, what was subtracted, whether it holds steps)."""
    if column.dtype.kind not in "iu" or column.dtype.itemsize == 1 or not len(column):
        return column, 0, False
    if column.dtype.kind == "u" and int(column.max()) >= 1 << 63:
        return column, 0, False
    plain = column.astype(np.int64)
    steps = bool(np.all(plain[1:] >= plain[:-1])) and int(plain[-1]) - int(plain[0]) < 1 << 62
    base = int(plain[0]) if steps else int(plain.min())
    top = int(np.diff(plain).max(initial=0)) if steps else int(plain.max()) - base
    for narrow in _NARROW:
        if top < 1 << (8 * narrow.itemsize):
            return (np.diff(plain, prepend=base) if steps else plain - base).astype(narrow), base, steps
    return column, 0, False


def pack(meta: Mapping[str, str], columns: Mapping[str, Column], frozen: list[bytes]) -> bytes:
    """Bytes of the columns, each of one dimension, and of `meta`."""
    head: list[tuple[str, str, str, int, int, bool]] = []
    parts: list[bytes] = []
    for name, column in columns.items():
        stored, base, steps = _stored(column)
        parts.append(stored.tobytes())
        head.append((name, column.dtype.str, stored.dtype.str, len(column), base, steps))
    body = compress(b"".join(parts))
    sizes = [len(part) for part in frozen]
    text = json.dumps({"meta": dict(meta), "columns": head, "body": len(body), "frozen": sizes}).encode()
    rest = b"".join([text, body, *frozen])
    return _PREFIX.pack(_MAGIC, _VERSION, zlib.crc32(rest), len(text)) + rest


def unpack(data: bytes) -> Unpacked:
    """Inverse of `pack`. Raises CorruptState."""
    if len(data) < _PREFIX.size:
        raise CorruptState("too short")
    magic, version, crc, size = _PREFIX.unpack_from(data)
    rest = data[_PREFIX.size :]
    if magic != _MAGIC or version != _VERSION:
        raise CorruptState(f"magic {magic!r}, version {version}")
    if zlib.crc32(rest) != crc:
        raise CorruptState("checksum")
    head = json.loads(rest[:size])
    end = size + int(head["body"])
    body = decompress(rest[size:end])
    columns: dict[str, Column] = {}
    at = 0
    for name, dtype, stored_dtype, count, base, steps in head["columns"]:
        stored = np.frombuffer(body, stored_dtype, count, at)
        at += stored.nbytes
        columns[name] = _restored(stored, np.dtype(dtype), int(base), bool(steps))
    frozen = []
    for part in head["frozen"]:
        frozen.append(rest[end : end + part])
        end += part
    return Unpacked(head["meta"], columns, frozen)


def _restored(stored: Column, dtype: np.dtype[np.generic], base: int, steps: bool) -> Column:
    if stored.dtype == dtype:
        return stored.copy()
    plain = stored.astype(np.int64)
    return (np.cumsum(plain) + base if steps else plain + base).astype(dtype)
