"""Part: one segment of the spool in this process: what of it is still to be sent, and the marks of what is done.

What: entries in order, a place among them, a count of those that are open; reads by position. Why: only parts that are
being sent hold their entries in memory, so that a spool of days costs its host little. It refuses to write batches: the
spool does, and tells.
"""

from __future__ import annotations

import contextlib
import errno
import os

from tocsin import segment
from tocsin.disk import Disk
from tocsin.encode import Batch
from tocsin.lives import Life

SEGMENT, MARKS = ".seg", ".done"
#: What the process or the machine is short of says nothing about what lies on the disk.
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


class Part:
    """A segment and its marks. `entries` is None until it is loaded."""

    __slots__ = ("_marks", "_reading", "entries", "left", "life", "name", "position", "rows", "size")

    def __init__(self, life: Life, name: str, size: int) -> None:
        self.life = life
        self.name = name
        self.size = size  # bytes on the disk
        self.entries: list[segment.Entry] | None = None
        self.position = 0  # of the next entry to be sent
        self.left = 0  # entries that are not done
        self.rows = 0  # measurements in them
        self._reading = -1
        self._marks = -1

    @property
    def path(self) -> str:
        """Of the segment."""
        return self.life.file(self.name + SEGMENT)

    @property
    def unsent(self) -> bool:
        """Whether there may be entries to send."""
        return self.entries is None or self.position < len(self.entries)

    def append(self, entries: list[segment.Entry]) -> None:
        """These are on the disk now."""
        if self.entries is not None:
            self.entries += entries
        self.left += len(entries)
        self.rows += sum(entry.rows for entry in entries)
        self.size = entries[-1].end

    def load(self) -> tuple[int, int]:
        """Read what is whole and not done; (damaged stretches, measurements known to be in them). Raises OSError."""
        with open(self.path, "rb") as file:
            found = segment.scan(file.read(self.size))  # what lies behind it was never promised, and was written anew
        done: set[int] = set()
        with contextlib.suppress(FileNotFoundError), open(self.life.file(self.name + MARKS), "rb") as file:
            done.update(segment.marks(file.read()))
        self.entries = [entry for entry in found.entries if entry.sequence not in done]
        self.left = len(self.entries)
        self.rows = sum(entry.rows for entry in self.entries)
        return found.damaged, found.damaged_rows

    def take(self) -> segment.Entry | None:
        """The next entry that was not taken yet."""
        if self.entries is None or self.position >= len(self.entries):
            return None
        entry = self.entries[self.position]
        self.position += 1
        return entry

    def read(self, entry: segment.Entry, machine: bytes) -> Batch | None:
        """The entry's batch, or None when the disk no longer has it whole. Raises OSError when that is not known now."""
        try:
            if self._reading < 0:
                self._reading = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            body = os.pread(self._reading, entry.size, entry.at + segment.HEAD_BYTES)
        except OSError as error:
            if error.errno in SHORT:
                raise
            return None
        batch = segment.batch_of(entry, body, machine)
        if batch is not None:
            batch.place = (self, entry)
        return batch

    def finish(self, entry: segment.Entry, disk: Disk) -> None:
        """The entry came to its end. A mark that cannot be written costs a repetition, which the platform takes out."""
        self.left -= 1
        self.rows -= entry.rows
        try:
            if self._marks < 0:
                self._marks = self._open_marks(disk)
            disk.write(self._marks, segment.mark(entry.sequence))
        except OSError:
            self._leave_marks()  # what came to the disk of it is cut off when they are opened again

    def _open_marks(self, disk: Disk) -> int:
        path = self.life.file(self.name + MARKS)
        try:
            return disk.create(path)
        except FileExistsError:  # of the life before, or of a mark that failed: a torn end would put ours out of step
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            size = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, size - size % segment.MARK_BYTES)
            return descriptor

    def close(self) -> None:
        """Let go of its files."""
        if self._reading >= 0:
            with contextlib.suppress(OSError):
                os.close(self._reading)
        self._reading = -1
        self._leave_marks()

    def _leave_marks(self) -> None:
        if self._marks >= 0:
            with contextlib.suppress(OSError):
                os.close(self._marks)
        self._marks = -1

    def remove(self, disk: Disk) -> None:
        """It is done: the segment first, since marks without a segment do no harm."""
        self.close()
        for ending in (SEGMENT, MARKS):
            with contextlib.suppress(OSError):
                disk.unlink(self.life.file(self.name + ending))
