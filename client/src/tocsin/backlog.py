"""Backlog: where encoded batches wait until they are acknowledged; here, in memory.

What: the protocol between the pump and whatever holds batches, and the one that holds them in the host's memory. Why:
with a spool the promise is made when the disk has a batch, without one when the destination has it; the pump need not
know which. It refuses to send, and to judge results.
"""

from __future__ import annotations

from collections import deque

from tocsin.encode import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Backlog(Protocol):
        """Batches from their encoding to their end. Used under the pump's lock only."""

        promises: bool  # whether `commit` ever makes a promise

        @property
        def loose(self) -> Batch | None:
            """The oldest batch that memory alone has."""

        @property
        def open(self) -> bool:
            """Whether new batches may be added."""

        @property
        def left(self) -> bool:
            """Whether there is a batch that `next` would give now or later."""

        def add(self, batches: list[Batch]) -> None:
            """Take new batches, in order."""

        def commit(self) -> int:
            """Make the promise for what was added, if this backlog can: how many measurements need no memory now."""

        def next(self) -> Batch | None:
            """The next batch to be sent for the first time in this life, if one may be sent now."""

        def done(self, batch: Batch, delivered: bool = True) -> int:
            """The batch has come to its end, delivered or rejected: how many measurements need no memory now."""

        def take_back(self, batch: Batch) -> bool:
            """Its fate is not known. True if `next` will give it again, in its turn; else the pump keeps and sends it."""

        def reset(self, boot: str) -> None:
            """In a forked child: hold nothing; what the parent holds is the parent's."""

        def close(self) -> None:
            """Let go of files and locks; what is held stays."""


class Memory:
    """Holds batches in memory, up to about so many bytes."""

    promises = False

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self._waiting: deque[Batch] = deque()
        self._loose: dict[Batch, None] = {}  # in order

    @property
    def loose(self) -> Batch | None:
        """The oldest of all."""
        return next(iter(self._loose), None)

    @property
    def open(self) -> bool:
        """Whether there is room, and nothing waits to be sent."""
        return not self._waiting and self.held < self.most

    @property
    def left(self) -> bool:
        """Whether a batch waits."""
        return bool(self._waiting)

    def add(self, batches: list[Batch]) -> None:
        """Take new batches."""
        self._waiting.extend(batches)
        self._loose.update(dict.fromkeys(batches))
        self.held += sum(batch.size for batch in batches)

    def commit(self) -> int:
        """Memory promises nothing."""
        return 0

    def next(self) -> Batch | None:
        """In the order in which they were added."""
        return self._waiting.popleft() if self._waiting else None

    def done(self, batch: Batch, delivered: bool = True) -> int:
        """Its room is free."""
        self.held -= batch.size
        del self._loose[batch]
        return batch.rows

    def take_back(self, batch: Batch) -> bool:
        """The pump has it."""
        return False

    def reset(self, boot: str) -> None:
        """Empty."""
        self._waiting.clear()
        self._loose.clear()
        self.held = 0

    def close(self) -> None:
        """Nothing to let go of."""
