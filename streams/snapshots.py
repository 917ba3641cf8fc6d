"""Snapshots as records: cutting into parts, and choosing the one to restore. Pure.

What: a snapshot is a step's bytes at a fence, cut into parts of at most 512 KiB, each with a header. A snapshot counts
only when all its parts are there and whole; of several, the highest (epoch, fence, number) wins. Why an epoch: a
worker that lost its partition without noticing may still write; its epoch is lower, so what it writes is not chosen,
and were it chosen, its fence would only make for a longer replay. Two slots take turns, so a torn write never destroys
the snapshot before it.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterable

MAGIC = b"TSNP"
FORMAT = 1
PART_BYTES = 512 << 10
MAX_PARTS = 4_096
SLOTS = 2
_HEADER = struct.Struct("<4sHHIqqQQIII")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Rank:
    """What decides between snapshots, most important first."""

    epoch: int
    fence: int
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole snapshot. `writer` is random for each assignment of a partition to a process."""

    partition: int
    epoch: int
    fence: int
    number: int
    writer: int
    data: bytes

    @property
    def rank(self) -> Rank:
        """For comparison."""
        return Rank(self.epoch, self.fence, self.number)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One part, as it travels."""

    partition: int
    epoch: int
    fence: int
    number: int
    writer: int
    part: int
    parts: int
    data: bytes

    @property
    def key(self) -> bytes:
        """Compaction key: writer and slot, so that others' snapshots are never overwritten."""
        return f"{self.partition}/{self.writer:016x}/{self.number % SLOTS}/{self.part}".encode()

    def encode(self) -> bytes:
        """Header and data; the CRC covers both."""
        checksum = zlib.crc32(self.data, zlib.crc32(repr(dataclasses.astuple(self)[:7]).encode()))
        header = _HEADER.pack(
            MAGIC,
            FORMAT,
            self.partition,
            self.part,
            self.epoch,
            self.fence,
            self.number,
            self.writer,
            self.parts,
            len(self.data),
            checksum,
        )
        return header + self.data


def decode(value: bytes) -> Part | None:
    """A part, or None when the bytes are torn, foreign or of another format: such a part does not exist."""
    if len(value) < _HEADER.size:
        return None
    magic, form, partition, part, epoch, fence, number, writer, parts, size, checksum = _HEADER.unpack_from(value)
    data = value[_HEADER.size :]
    if magic != MAGIC or form != FORMAT or size != len(data) or not 0 < parts <= MAX_PARTS:
        return None
    found = Part(partition, epoch, fence, number, writer, part, parts, data)
    return found if zlib.crc32(data, zlib.crc32(repr(dataclasses.astuple(found)[:7]).encode())) == checksum else None


def cut(snapshot: Snapshot) -> list[Part]:
    """The parts of a snapshot, at least one."""
    pieces = [snapshot.data[at : at + PART_BYTES] for at in range(0, len(snapshot.data), PART_BYTES)] or [b""]
    if len(pieces) > MAX_PARTS:
        raise ValueError(
            f"a snapshot of {len(snapshot.data)} bytes needs {len(pieces)} parts, the limit is {MAX_PARTS}"
        )
    head = (snapshot.partition, snapshot.epoch, snapshot.fence, snapshot.number, snapshot.writer)
    return [Part(*head, part=index, parts=len(pieces), data=piece) for index, piece in enumerate(pieces)]


def newest(parts: Iterable[Part]) -> Snapshot | None:
    """The snapshot to restore among all parts of one partition's log, in any order; None if none is whole."""
    groups: dict[tuple[int, int, int, int], dict[int, Part]] = {}
    for part in parts:
        groups.setdefault((part.epoch, part.fence, part.number, part.writer), {})[part.part] = part
    whole = [
        Snapshot(group[0].partition, epoch, fence, number, writer, b"".join(group[i].data for i in range(len(group))))
        for (epoch, fence, number, writer), group in groups.items()
        if 0 in group and len(group) == group[0].parts
    ]
    return max(whole, key=lambda snapshot: (snapshot.rank, snapshot.writer), default=None)
