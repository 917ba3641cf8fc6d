"""Recorder: what instruments write into and the pump takes from; the hot path of the client.

What: a bounded list of rows, a running sum per counter, and counts of what was refused. Why: a recording call must
cost well under a microsecond, must not lock, log, allocate a thread or raise, and must be safe from signal handlers
and finalisers; so a row is one `list.append`, which is atomic. Instruments append by themselves while `soon` allows it. It refuses a measurement when the buffer is full (the
newest one: what was accepted stays in order), and counts each refusal by reason.
"""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable
from math import isnan
from threading import RLock

from tocsin import limits
from tocsin.clock import Anchor

#: series number, time_ms, value, outcome (0 bad, 1 good, 2 none), trace id or b""
Row = tuple[int, int, float, int, bytes]

BAD, GOOD, NO_OUTCOME = 0, 1, 2
FOLD = 1_000  # amounts of a counter that are kept before they are added up
NO_ROOM = -1  # below every length: sends each call down the slow path

_BOUND = limits.VALUE_BOUND
_TIME_BOUND = limits.TIME_BOUND_MS


def fault(value: float) -> str:
    """Why a value outside the open interval (-VALUE_BOUND, VALUE_BOUND) is refused."""
    return "not_a_number" if isnan(value) else "too_big"


class Tally:
    """The running sum of one counter series between two flushes: amounts that are good, and what was added up of them."""

    __slots__ = ("amounts", "pending", "series")

    def __init__(self, series: int) -> None:
        self.series = series
        self.amounts: list[float] = []
        self.pending = 0.0


class Recorder:
    """Rows waiting to be sent, and the counters' sums. `room` is how many rows may wait; 0: not started or closed.

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
        "tallies",
        "wake_at",
        "wakeups",
    )  # fmt: skip

    def __init__(self, capacity: int, wake_at: int, start: Callable[[], None], muted: bool = False) -> None:
        self.capacity = capacity
        self.wake_at = wake_at
        self.start = start
        self.closed = False
        self.muted = muted
        self.anchor = Anchor()
        self.rows: list[Row] = []
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
        self.tallies: list[Tally] = getattr(self, "tallies", [])
        for tally in self.tallies:
            tally.amounts.clear()
            tally.pending = 0.0

    def put(self, series: int, value: float, outcome: int, time_ms: int | None, trace_id: bytes | str | None) -> None:
        """Record one measurement, or count why not. Never raises, never blocks."""
        try:
            if not -_BOUND < value < _BOUND:
                self.refuse(fault(value))
                return
            if time_ms is None:
                time_ms = self.anchor.wall_ms()
            elif not 0 <= time_ms < _TIME_BOUND:
                self.refuse("time")
                return
            else:
                time_ms = int(time_ms)
            waiting = len(self.rows)
            if waiting >= self.room and not self.make_room():
                return
            trace = b"" if trace_id is None else self.trace(trace_id)
            self.rows.append((series, time_ms, float(value), outcome, trace))
            if waiting >= self.soon:
                self.soon = min(self.room, waiting + self.wake_at)
                self.wakeups.put(None)
        except Exception:  # noqa: BLE001 - a wrong type, whatever its own methods raise: the host must not notice
            self.refuse("type")

    def add(self, tally: Tally, amount: float, time_ms: int | None) -> None:
        """Add to a counter; with a time, as a measurement of its own. Never raises."""
        try:
            if not 0 <= amount < _BOUND:
                self.refuse(fault(amount) if amount >= 0 or isnan(amount) else "negative")
            elif time_ms is not None:
                self.put(tally.series, amount, NO_OUTCOME, time_ms, None)
            elif self.room or self.make_room():
                self.fold(tally)
                self._grow(tally, float(amount))
        except Exception:  # noqa: BLE001 - as in put
            self.refuse("type")

    def fold(self, tally: Tally) -> None:
        """Add up the amounts of a counter."""
        amounts = tally.amounts
        with self.lock:
            count = len(amounts)
            taken = amounts[:count]  # no call stands between these two: a signal cannot come between them
            del amounts[:count]
        if taken:
            total = float(sum(taken))
            for amount in (total,) if total < _BOUND else taken:
                self._grow(tally, float(amount))

    def _grow(self, tally: Tally, amount: float) -> None:
        """Add to the sum; what it cannot take in goes as a measurement of its own."""
        with self.lock:
            total = tally.pending + amount
            if total < _BOUND:
                tally.pending = total
                return
            tally.pending = amount
        self.put(tally.series, total - amount, NO_OUTCOME, None, None)

    def trace(self, trace_id: bytes | str) -> bytes:
        """16 bytes of trace id from bytes or hex; an unusable one is counted and left out, its measurement stays."""
        try:
            raw = bytes.fromhex(trace_id) if isinstance(trace_id, str) else bytes(trace_id)
        except (ValueError, TypeError):
            raw = b"?"
        if len(raw) == limits.TRACE_BYTES:
            return raw
        if raw:
            self.refuse("trace")
        return b""

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

    def take(self, most: int) -> list[Row]:
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

    def close_tallies(self) -> None:
        """Turn the counters' pending sums into rows, timed now."""
        time_ms = self.anchor.wall_ms()
        for tally in list(self.tallies):
            self.fold(tally)
            if tally.pending:
                with self.lock:
                    amount, tally.pending = tally.pending, 0.0
                self.rows.append((tally.series, time_ms, amount, NO_OUTCOME, b""))
