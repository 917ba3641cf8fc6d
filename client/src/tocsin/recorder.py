"""Recorder: what instruments write into and the pump takes from; the hot path of the client.

What: a bounded list of rows, a running sum per counter, and counts of what was refused. Why: a recording call must
cost well under a microsecond, must not lock, log, allocate a thread or raise, and must be safe from signal handlers
and finalisers; so a row is one `list.append`, which is atomic. It refuses a measurement when the buffer is full (the
newest one: what was accepted stays in order), and counts each refusal by reason.
"""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable
from math import isnan
from threading import RLock
from time import time_ns

from tocsin import limits

#: series number, time_ms, value, outcome (0 bad, 1 good, 2 none), trace id or b""
Row = tuple[int, int, float, int, bytes]

BAD, GOOD, NO_OUTCOME = 0, 1, 2
REASONS = ("full", "closed", "not_a_number", "too_big", "negative", "time", "type", "trace")

_BOUND = limits.VALUE_BOUND
_TIME_BOUND = limits.TIME_BOUND_MS


def now_ms() -> int:
    """Wall clock, ms since epoch."""
    return time_ns() // 1_000_000


def fault(value: float) -> str:
    """Why a value outside the open interval (-VALUE_BOUND, VALUE_BOUND) is refused."""
    return "not_a_number" if isnan(value) else "too_big"


class Tally:
    """The running sum of one counter series between two flushes."""

    __slots__ = ("pending", "series")

    def __init__(self, series: int) -> None:
        self.series = series
        self.pending = 0.0


class Recorder:
    """Rows waiting to be sent, and the counters' sums. `room` is how many rows may wait; 0: not started or closed."""

    __slots__ = (
        "capacity",
        "closed",
        "held",
        "lock",
        "recorded",
        "refused",
        "room",
        "rows",
        "start",
        "tallies",
        "wake_at",
        "wakeups",
    )  # fmt: skip

    def __init__(self, capacity: int, wake_at: int, start: Callable[[], None]) -> None:
        self.capacity = capacity
        self.wake_at = wake_at
        self.start = start
        self.closed = False
        self.refused: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """Empty, as after construction: nothing recorded, no sum pending. Used in a forked child as well."""
        self.rows: list[Row] = []
        self.lock = RLock()
        self.wakeups: SimpleQueue[None] = SimpleQueue()
        self.held = 0
        self.recorded = 0
        self.refused = {}
        self.room = 0
        self.tallies: list[Tally] = getattr(self, "tallies", [])
        for tally in self.tallies:
            tally.pending = 0.0

    def put(self, series: int, value: float, outcome: int, time_ms: int | None, trace_id: bytes | str | None) -> None:
        """Record one measurement, or count why not. Never raises, never blocks."""
        try:
            if not -_BOUND < value < _BOUND:
                self.refuse(fault(value))
                return
            if time_ms is None:
                time_ms = time_ns() // 1_000_000
            elif not 0 <= time_ms < _TIME_BOUND:
                self.refuse("time")
                return
            else:
                time_ms = int(time_ms)
            rows = self.rows
            waiting = len(rows)
            if waiting >= self.room and not self.make_room():
                return
            trace = b"" if trace_id is None else self.trace(trace_id)
            rows.append((series, time_ms, float(value), outcome, trace))
            if waiting % self.wake_at == self.wake_at - 1:
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
                amount = float(amount)
                with self.lock:
                    total = tally.pending + amount
                    if total < _BOUND:
                        tally.pending = total
                        return
                    tally.pending = amount
                self.put(tally.series, total - amount, NO_OUTCOME, None, None)
        except Exception:  # noqa: BLE001 - as in put
            self.refuse("type")

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
        if self.closed:
            self.refuse("closed")
            return False
        if self.room == 0:
            self.start()
        if len(self.rows) < self.room:
            return True
        self.refuse("full")
        return False

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

    def close_tallies(self) -> None:
        """Turn the counters' pending sums into rows, timed now."""
        time_ms = now_ms()
        for tally in list(self.tallies):
            if tally.pending:
                with self.lock:
                    amount, tally.pending = tally.pending, 0.0
                self.rows.append((tally.series, time_ms, amount, NO_OUTCOME, b""))
