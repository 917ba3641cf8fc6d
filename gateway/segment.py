"""Segment: the form of the spool's files, and how they are read when parts of them are wrong.

What: a segment is a row of records, each with a head of fixed size, two checksums, and key, tenant and value. Why: a crash
tears the end of a file and a disk flips bits; a record that is whole must be found behind one that is not. It refuses to
repair: what does not match its checksum is skipped and counted. (The client's spool has a form of its own: it keeps clocks
of a machine and marks of what is done, and no room may need the client.)

    record = magic | bytes of key, tenant, value | measurements | received, ms since epoch | crc of the rest
           | crc of the head | key | tenant | value
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from typing import Final

from schemas.limits import RECORD_BYTES

MAGIC: Final = b"TgS\xf2"
_HEAD: Final = struct.Struct("<4sHHIIQI")
_CRC: Final = struct.Struct("<I")
HEAD_BYTES: Final = _HEAD.size + _CRC.size
NAME_BYTES: Final = 0xFFFF  # of a key, of a tenant
MOST_BYTES: Final = HEAD_BYTES + 2 * NAME_BYTES + RECORD_BYTES  # of one record


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """One record on its way to Kafka. `measurements` are those in its value."""

    key: bytes
    tenant: bytes
    value: bytes
    measurements: int
    received_ms: int


@dataclasses.dataclass(slots=True)
class Found:
    """Whole records in order, where reading goes on, and stretches that were not whole."""

    records: list[Kept] = dataclasses.field(default_factory=list)
    end: int = 0
    damaged: int = 0


def written(kept: Kept) -> bytes:
    """A record as bytes."""
    rest = b"".join((kept.key, kept.tenant, kept.value))
    sizes = (len(kept.key), len(kept.tenant), len(kept.value))
    head = _HEAD.pack(MAGIC, *sizes, kept.measurements, kept.received_ms, zlib.crc32(rest))
    return b"".join((head, _CRC.pack(zlib.crc32(head)), rest))


def read(data: bytes, *, last: bool) -> Found:
    """The records in a part of a segment that begins with one. `last`: nothing follows the part. Never raises.

    A record that the part does not hold to its end is left for the next one, which begins at `end`; in the last part it is
    a stretch that is not whole.
    """
    found = Found()
    at, broken = 0, False
    while at < len(data):
        sizes = _sizes(data, at)
        if sizes is None:
            if not last and not broken and len(data) - at < HEAD_BYTES:
                break
            found.damaged += not broken
            broken = True
            at = data.find(MAGIC, at + 1)
            if at < 0:
                at = len(data) if last else len(data) - len(MAGIC) + 1
                break
            continue
        end = at + HEAD_BYTES + sum(sizes)
        if end > len(data) and not last:
            break
        kept = _body(data, at, sizes)
        if kept is None:
            found.damaged += 1
        else:
            found.records.append(kept)
        at, broken = min(end, len(data)), False  # the head is whole, so its sizes are right
    found.end = at
    return found


def _sizes(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Bytes of key, tenant and value, where a whole head begins here."""
    if at + HEAD_BYTES > len(data):
        return None
    magic, key, tenant, value, _, _, _ = _HEAD.unpack_from(data, at)
    (own,) = _CRC.unpack_from(data, at + _HEAD.size)
    if magic != MAGIC or own != zlib.crc32(data[at : at + _HEAD.size]) or value > RECORD_BYTES:
        return None
    return key, tenant, value


def _body(data: bytes, at: int, sizes: tuple[int, int, int]) -> Kept | None:
    """The record whose head is here; None where the rest does not match."""
    *_, measurements, received_ms, crc = _HEAD.unpack_from(data, at)
    key = at + HEAD_BYTES
    tenant = key + sizes[0]
    value = tenant + sizes[1]
    end = value + sizes[2]
    if end > len(data) or crc != zlib.crc32(data[key:end]):
        return None
    return Kept(data[key:tenant], data[tenant:value], data[value:end], measurements, received_ms)
