"""Buffer: rows that wait to be sent, within a bound, and counts of what was refused.

What: a list that recording calls append to and the pump takes from, and how much room there is. Why: measurements and log
records wait under the same rules: what is taken is held until its end, what finds no room is refused, the newest one, and
counted by reason. It refuses to know what a row is.
"""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable
from threading import RLock

from tocsin.clock import Anchor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_ROOM = -1  # below every length: sends each call down the slow path


class Buffer:
    """Rows waiting to be sent. `room` is how many may wait; 0: not started or closed.

    `soon` is where the fast path of an instrument ends: at the next wake-up of the pump, or where there is no room.
    """

    __slots__ = (
        "anchor",
        "capacity",
        "closed",
        "held",
        "lock",
        "muted",
        "recorded",
        "refused",
        "room",
        "rows",
        "soon",
        "start",
        "wake_at",
        "wakeups",
    )  # fmt: skip
    rows: list[Any]

    def __init__(self, capacity: int, wake_at: int, start: Callable[[], None], muted: bool = False) -> None:
        self.capacity = capacity
        self.wake_at = wake_at
        self.start = start
        self.closed = False
        self.muted = muted
        self.anchor = Anchor()
        self.rows = []
        self.refused: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """As after construction; also in a forked child. The list of rows stays the one that instruments know."""
        self.rows.clear()
        self.lock = RLock()
        self.wakeups: SimpleQueue[None] = SimpleQueue()
        self.held = 0
        self.recorded = 0
        self.refused = {}
        self.room = 0
        self.soon = NO_ROOM

    def make_room(self) -> bool:
        """The slow path of a full, closed or not yet started recorder: True if there is room now."""
        if self.muted:
            return False
        if self.closed:
            self.refuse("closed")
            return False
        if self.room == 0:
            self.start()
        if len(self.rows) < self.room:
            return True
        self.refuse("full")
        return False

    def shut(self) -> None:
        """Take nothing from now on."""
        self.closed = True
        self.room, self.soon = 0, NO_ROOM

    def refuse(self, reason: str) -> None:
        """Count a measurement that was not taken."""
        with self.lock:
            self.refused[reason] = self.refused.get(reason, 0) + 1

    def settle(self, delivered_or_given_up: int) -> None:
        """So many measurements are no longer held: make their room usable again."""
        self.held -= delivered_or_given_up
        self._set_room()

    def take(self, most: int) -> list[Any]:
        """Remove and return the oldest rows. Only the pump calls this; both list operations are atomic."""
        rows = self.rows[:most]
        del self.rows[: len(rows)]
        self.held += len(rows)
        self.recorded += len(rows)
        self._set_room()
        return rows

    def _set_room(self) -> None:
        """0 sends every call down the slow path; a full buffer is -1, since counters need no row to go on."""
        self.room = 0 if self.closed else (self.capacity - self.held or -1)
        self.soon = min(self.room, self.wake_at - 1) if self.room > 0 else NO_ROOM

    def close_tallies(self) -> bool:
        """Nothing is summed up here, so nothing is left open."""
        return True
