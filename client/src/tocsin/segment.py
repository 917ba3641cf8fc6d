"""Segment: the form of a spool's files, and how they are read when parts of them are wrong.

What: a segment is a row of records, each with a head of fixed size (what it is, two checksums) and the batch; beside it a
file of marks, one for each batch that has come to its end. Why: a crash tears the end of a file, a disk flips bits; a
record that is whole must be found behind one that is not. It refuses to repair: what does not match its checksum is
skipped and counted.

    record = magic | body size | measurements | size of the batch's top part | sequence
           | created, ms since epoch (0: by a clock that nobody had confirmed) | created, forward clock, ms
           | id of the machine's run | crc of the body | crc of the head | body
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, error
from zlib import crc32

from tocsin.encode import Batch

MAGIC = b"TcS\xf1"
_HEAD = Struct("<4sIIIQQQ16sI")
_CRC = Struct("<I")
_MARK = Struct("<QI")
HEAD_BYTES = _HEAD.size + _CRC.size
MARK_BYTES = _MARK.size
UNKNOWN_MACHINE = bytes(16)
UNKNOWN_TIME = 0


class Entry:
    """One record of a segment: where it is and what its head says."""

    __slots__ = ("at", "crc", "created_forward", "created_wall", "machine", "rows", "sequence", "size", "top")

    def __init__(
        self, at: int, size: int, rows: int, top: int, sequence: int, wall: int, forward: int, machine: bytes, crc: int
    ) -> None:
        self.at = at  # of the head, bytes from the file's begin
        self.size = size  # of the body, bytes
        self.rows = rows  # measurements
        self.top = top  # bytes of the body that stand before the send stamps
        self.sequence = sequence
        self.created_wall = wall
        self.created_forward = forward
        self.machine = machine
        self.crc = crc  # of the body

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.at + HEAD_BYTES + self.size


class Found:
    """What a scan found: whole records in order; damaged stretches; measurements of records whose head is whole."""

    __slots__ = ("damaged", "damaged_rows", "entries")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.damaged = 0
        self.damaged_rows = 0


def machine_id(boot: str) -> bytes:
    """The id of the machine's run as 16 bytes; zeros when it is not known."""
    try:
        raw = bytes.fromhex(boot.replace("-", ""))
    except ValueError:
        return UNKNOWN_MACHINE
    return raw if len(raw) == len(UNKNOWN_MACHINE) else UNKNOWN_MACHINE


def record(batch: Batch, at: int, wall: int, forward: int, machine: bytes) -> tuple[bytes, Entry]:
    """A batch as a record that begins `at` bytes from the file's begin, and its entry."""
    body = batch.top + batch.tail
    size, top, crc = len(body), len(batch.top), crc32(body)
    head = _HEAD.pack(MAGIC, size, batch.rows, top, batch.sequence, wall, forward, machine, crc)
    entry = Entry(at, size, batch.rows, top, batch.sequence, wall, forward, machine, crc)
    return b"".join((head, _CRC.pack(crc32(head)), body)), entry


def _head(data: bytes, at: int) -> Entry | None:
    """The entry that begins here, when its head is whole; its body is not looked at."""
    try:
        magic, size, rows, top, sequence, wall, forward, machine, crc = _HEAD.unpack_from(data, at)
        (own,) = _CRC.unpack_from(data, at + _HEAD.size)
    except error:
        return None
    if magic != MAGIC or own != crc32(data[at : at + _HEAD.size]) or top > size:
        return None
    return Entry(at, size, rows, top, sequence, wall, forward, machine, crc)


def scan(data: bytes) -> Found:
    """Every whole record of a segment, and a count of what is not whole. Never raises."""
    found = Found()
    at, broken = 0, False
    while at < len(data):
        entry = _head(data, at)
        if entry is None:
            found.damaged += not broken
            broken = True
            at = data.find(MAGIC, at + 1)
            if at < 0:
                break
            continue
        if entry.crc == crc32(data[at + HEAD_BYTES : entry.end]) and entry.end <= len(data):
            found.entries.append(entry)
        else:
            found.damaged += 1
            found.damaged_rows += entry.rows
        at, broken = entry.end, False  # the head is whole, so its size is right
    return found


def batch_of(entry: Entry, body: bytes, machine: bytes) -> Batch | None:
    """The batch of an entry, or None when its body has changed since. `machine`: the run of the machine now."""
    if len(body) != entry.size or crc32(body) != entry.crc:
        return None
    here = entry.machine == machine != UNKNOWN_MACHINE
    return Batch(entry.sequence, entry.rows, body[: entry.top], body[entry.top :], here)


def mark(sequence: int) -> bytes:
    """One mark: the batch of that number has come to its end."""
    number = sequence.to_bytes(8, "little")
    return _MARK.pack(sequence, crc32(number))


def marks(data: bytes) -> Iterator[int]:
    """The numbers in a file of marks; what is torn or wrong is left out, so that its batch is sent again."""
    for at in range(0, len(data) - _MARK.size + 1, _MARK.size):
        sequence, crc = _MARK.unpack_from(data, at)
        if crc == crc32(data[at : at + 8]):
            yield sequence
