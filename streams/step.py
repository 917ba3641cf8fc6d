"""Step: what a stage drives. A step decides, in memory, for one partition; the stage performs.

What: the protocol between the two. Why: aggregate, merge and notify differ in what they decide and in nothing else. Time
comes in by `tick`. It refuses steps that wait: nothing here is asynchronous.
"""

from __future__ import annotations

from typing import Protocol

from streams.producer import Outgoing
from streams.records import Records


class Step(Protocol):
    """One partition's part of a stage."""

    @property
    def fence(self) -> int:
        """Last input offset applied; -1 for none."""

    @property
    def urgent(self) -> bool:
        """Whether what waits in `drain` should not wait for the timer."""

    @property
    def wants_snapshot(self) -> bool:
        """Whether the next checkpoint must write a snapshot although none is due."""

    def apply(self, records: Records) -> None:
        """Take records, in order. Those at or below the fence are skipped."""

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Time is `now_ms`; whether the input's end is reached."""

    def drain(self) -> list[Outgoing]:
        """What is to be sent since the last drain. Sending it twice must do no harm."""

    def settled(self) -> None:
        """All that was drained, and the snapshot if one was wanted, is acknowledged by the broker."""

    def snapshot(self) -> bytes:
        """The state at `fence`."""

    def restore(self, data: bytes) -> None:
        """Become the state that `snapshot` gave."""

    def close(self) -> None:
        """The partition belongs to somebody else now."""
