"""Recorder: what instruments write into and the pump takes from; the hot path of the client.

What: the bounded list of rows, a running sum per counter, and why a value is refused. Why: a recording call must
cost well under a microsecond, must not lock, log, allocate a thread or raise, and must be safe from signal handlers
and finalisers; so a row is one `list.append`, which is atomic. Instruments append by themselves while `soon` allows it. It refuses a measurement when the buffer is full (the
newest one: what was accepted stays in order), and counts each refusal by reason.
"""

from __future__ import annotations

from math import isnan, nextafter

from tocsin import limits, trace
from tocsin.buffer import Buffer

#: series number, time_ms, value, outcome (0 bad, 1 good, 2 none), trace id or b""
Row = tuple[int, int, float, int, bytes]

BAD, GOOD, NO_OUTCOME = 0, 1, 2
FOLD = 1_000  # amounts of a counter that are kept before they are added up

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


class Peak:
    """The highest value of one series between two turns takes the current trace: the one that a page asks for.

    What is below `high` need not look for a trace. Where the host has none, that is all, and the question costs nothing:
    the recording call compares with `high` in place of the bound.
    """

    __slots__ = ("high",)

    def __init__(self) -> None:
        self.high = _BOUND

    def trace(self, value: float) -> bytes | None:
        """The current trace, if the value is the highest so far. Never raises."""
        try:
            if not self.high <= value < _BOUND:
                return None
            self.high = nextafter(value, _BOUND)
        except Exception:  # noqa: BLE001 - a wrong type, as in put, which counts it
            return None
        return trace.current()


class Recorder(Buffer):
    """Rows of measurements, the counters' sums, and who takes the current trace."""

    __slots__ = ("peaks", "tallies")
    rows: list[Row]

    def reset(self) -> None:
        """As after construction; also in a forked child."""
        super().reset()
        self.peaks: dict[int, Peak] = getattr(self, "peaks", {})
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
            raw = b"" if trace_id is None else self.exemplar(trace_id)
            self.rows.append((series, time_ms, float(value), outcome, raw))
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

    def peak(self, series: int) -> Peak:
        """One a series, however often it was bound."""
        with self.lock:
            return self.peaks.setdefault(series, Peak())

    def arm(self) -> None:
        """From now on the highest value of each series takes the current trace, where the host may have one."""
        if trace.possible():
            for peak in list(self.peaks.values()):
                peak.high = -_BOUND

    def exemplar(self, trace_id: bytes | str) -> bytes:
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

    def close_tallies(self) -> bool:
        """Turn the counters' pending sums into rows, timed now, while there is room. Whether none is left open.

        A sum without room goes on growing, which costs nothing. After the end none does, and each gets its row.
        """
        time_ms = self.anchor.wall_ms()
        for tally in list(self.tallies):
            self.fold(tally)
            if not tally.pending:
                continue
            if len(self.rows) + self.held >= self.capacity and not self.closed:
                return False
            with self.lock:
                amount, tally.pending = tally.pending, 0.0
            self.rows.append((tally.series, time_ms, amount, NO_OUTCOME, b""))
        return True
