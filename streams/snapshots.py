"""Snapshots as records: cutting into parts, and choosing the one to restore. Pure.

What: a snapshot is a step's bytes at a fence, cut into parts of at most 512 KiB, each with a header. A snapshot counts
only when all its parts are there and whole; of several, the highest (epoch, fence, number) wins. Why an epoch: a
worker that lost its partition without noticing may still write; its epoch is lower, so what it writes is not chosen,
and were it chosen, its fence would only make for a longer replay. Two slots take turns, so a torn write never destroys
the snapshot before it. It refuses to believe a part whose checksum, format or partition is not right: such a part does
not exist.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterable

from streams.limits import MAX_PARTS, PART_BYTES

MAGIC = b"TSNP"
FORMAT = 1
SLOTS = 2
_FACTS = struct.Struct(
    "<4sHHIIqqQQqI"
)  # magic, format, partition, part, parts, epoch, fence, number, writer, made, size
_CHECK = struct.Struct("<I")
HEADER_BYTES = _FACTS.size + _CHECK.size


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole snapshot. `writer` is random for each assignment of a partition to a process; `created_ms` for people."""

    partition: int
    epoch: int
    fence: int
    number: int
    writer: int
    created_ms: int
    data: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One part, as it travels."""

    partition: int
    epoch: int
    fence: int
    number: int
    writer: int
    created_ms: int
    part: int
    parts: int
    data: bytes

    @property
    def key(self) -> bytes:
        """Compaction key: writer and slot, so that others' snapshots are never overwritten."""
        return part_key(self.partition, self.writer, self.number % SLOTS, self.part)

    def encode(self) -> bytes:
        """Header and data; the CRC covers both."""
        facts = _FACTS.pack(
            MAGIC,
            FORMAT,
            self.partition,
            self.part,
            self.parts,
            self.epoch,
            self.fence,
            self.number,
            self.writer,
            self.created_ms,
            len(self.data),
        )
        return facts + _CHECK.pack(zlib.crc32(self.data, zlib.crc32(facts))) + self.data


def part_key(partition: int, writer: int, slot: int, part: int) -> bytes:
    """Compaction key of a part."""
    return f"{partition}/{writer:016x}/{slot}/{part}".encode()


def decode(value: bytes) -> Part | None:
    """A part, or None when the bytes are torn, foreign or of another format: such a part does not exist."""
    if len(value) < HEADER_BYTES:
        return None
    facts, data = value[: _FACTS.size], value[HEADER_BYTES:]
    (checksum,) = _CHECK.unpack_from(value, _FACTS.size)
    if zlib.crc32(data, zlib.crc32(facts)) != checksum:
        return None
    magic, form, partition, part, parts, epoch, fence, number, writer, created_ms, size = _FACTS.unpack(facts)
    if magic != MAGIC or form != FORMAT or size != len(data) or not part < parts <= MAX_PARTS:
        return None
    return Part(partition, epoch, fence, number, writer, created_ms, part, parts, data)


def cut(snapshot: Snapshot) -> list[Part]:
    """The parts of a snapshot, at least one."""
    pieces = [snapshot.data[at : at + PART_BYTES] for at in range(0, len(snapshot.data), PART_BYTES)] or [b""]
    if len(pieces) > MAX_PARTS:
        raise ValueError(
            f"a snapshot of {len(snapshot.data)} bytes needs {len(pieces)} parts, the limit is {MAX_PARTS}"
        )
    return [
        Part(
            snapshot.partition,
            snapshot.epoch,
            snapshot.fence,
            snapshot.number,
            snapshot.writer,
            snapshot.created_ms,
            part=index,
            parts=len(pieces),
            data=piece,
        )
        for index, piece in enumerate(pieces)
    ]


def newest(partition: int, parts: Iterable[Part]) -> Snapshot | None:
    """The snapshot to restore among all parts of one partition's log, in any order; None if none is whole."""
    groups: dict[tuple[int, int, int, int, int], dict[int, Part]] = {}
    for part in parts:
        if part.partition == partition:
            group = (part.epoch, part.fence, part.number, part.writer, part.parts)
            groups.setdefault(group, {})[part.part] = part
    whole = [group for (*_, count), group in groups.items() if len(group) == count]
    best = max(
        whole, key=lambda group: (group[0].epoch, group[0].fence, group[0].number, group[0].writer), default=None
    )
    if best is None:
        return None
    first = best[0]
    data = b"".join(best[index].data for index in range(first.parts))
    return Snapshot(partition, first.epoch, first.fence, first.number, first.writer, first.created_ms, data)
