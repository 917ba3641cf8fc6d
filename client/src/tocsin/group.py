"""Group: batches that are encoded, and of which neither disk nor destination has said yet that it has them.

What: those that wait for the disk, in the order in which they were recorded, and those that were sent from memory instead,
since the disk failed. Why: which measurement is the oldest that would be lost with the process decides what is promised. It
refuses to write and to send: the spool and the pump do.
"""

from __future__ import annotations

from bisect import insort
from operator import attrgetter

from tocsin.encode import Batch

_BEGIN = attrgetter("begin")


class Group:
    """`size`: bytes of those that wait for the disk."""

    __slots__ = ("_sent", "size", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Batch] = []
        self.size = 0
        self._sent: dict[Batch, None] = {}

    @property
    def oldest(self) -> Batch | None:
        """Of all."""
        return min([*self._sent, *self.waiting[:1]], key=_BEGIN, default=None)

    def add(self, batches: list[Batch]) -> None:
        """These wait, behind those before."""
        self.waiting += batches
        self.size += sum(batch.size for batch in batches)

    def written(self, count: int) -> None:
        """The disk has the first ones."""
        self.size -= sum(batch.size for batch in self.waiting[:count])
        del self.waiting[:count]

    def send(self) -> Batch:
        """The first one; its fate is not known from now on."""
        batch = self.waiting.pop(0)
        self.size -= batch.size
        self._sent[batch] = None
        return batch

    def done(self, batch: Batch) -> None:
        """One that was sent has come to its end."""
        del self._sent[batch]

    def take_back(self, batch: Batch) -> None:
        """One that was sent waits again, in its place: whoever takes it first, disk or destination."""
        del self._sent[batch]
        insort(self.waiting, batch, key=_BEGIN)
        self.size += batch.size
