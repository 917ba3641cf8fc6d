"""Hot: the recording calls of bound instruments, as functions with all that they need at hand.

What: one maker a kind of call; each answers a function for one series. Why: a closure costs half of what a method costs
that goes through attributes, and a recording call is what a host pays for most often. They refuse to decide anything:
what is not plain (another type, a time of its own, no room, a bad value) goes to the recorder, which takes or counts it.
"""

from __future__ import annotations

from time import monotonic_ns

from tocsin import limits, trace
from tocsin.recorder import BAD, FOLD, GOOD, NO_OUTCOME, Recorder, Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Add(Protocol):
        """The recording call of one kind of instrument."""

        def __call__(self, amount: float = 1, time_ms: int | None = None) -> None:
            """Add an amount >= 0, in the counter's unit. `time_ms`: event time, ms since epoch; sent on its own then."""

    class Set(Protocol):
        """The recording call of one kind of instrument."""

        def __call__(self, value: float, time_ms: int | None = None) -> None:
            """Record the value now, or at `time_ms`, ms since epoch."""

    class Record(Protocol):
        """The recording call of one kind of instrument."""

        def __call__(self, value: float, time_ms: int | None = None, trace_id: bytes | str | None = None) -> None:
            """Record one value. `trace_id`: 16 bytes or 32 hex digits, kept as an exemplar.

            The highest value between two turns takes the current trace when none is given.
            """

    class Observe(Protocol):
        """The recording call of one kind of instrument."""

        def __call__(
            self, good: bool, value: float = 0.0, trace_id: bytes | str | None = None, time_ms: int | None = None
        ) -> None:
            """Record whether it was good, with a value. `trace_id`: 16 bytes or 32 hex digits, kept as an exemplar.

            When none is given, one that was bad takes the current trace, and so does the highest value between two turns.
            """


_BOUND = limits.VALUE_BOUND


def adding(recorder: Recorder, tally: Tally) -> Add:
    """For a counter."""
    amounts, append, slow = tally.amounts, tally.amounts.append, recorder.add

    def add(amount: float = 1, time_ms: int | None = None) -> None:
        if (
            time_ms is None
            and (type(amount) is int or type(amount) is float)
            and 0 <= amount < _BOUND
            and len(amounts) < FOLD
            and recorder.room
        ):
            append(amount)
        else:
            slow(tally, amount, time_ms)

    return add


def setting(recorder: Recorder, series: int) -> Set:
    """For a gauge."""
    rows, append, anchor, slow = recorder.rows, recorder.rows.append, recorder.anchor, recorder.put

    def put(value: float, time_ms: int | None = None) -> None:
        if time_ms is None and type(value) is float and len(rows) < recorder.soon and -_BOUND < value < _BOUND:
            append((series, (monotonic_ns() + anchor.offset) // 1_000_000, value, NO_OUTCOME, b""))
        else:
            slow(series, value, NO_OUTCOME, time_ms, None)

    return put


def recording(recorder: Recorder, series: int) -> Record:
    """For a histogram."""
    rows, append, anchor, slow = recorder.rows, recorder.rows.append, recorder.anchor, recorder.put
    peak = recorder.peak(series)

    def record(value: float, time_ms: int | None = None, trace_id: bytes | str | None = None) -> None:
        if (
            time_ms is None
            and trace_id is None
            and type(value) is float
            and len(rows) < recorder.soon
            and -_BOUND < value < peak.high
        ):
            append((series, (monotonic_ns() + anchor.offset) // 1_000_000, value, NO_OUTCOME, b""))
        else:
            slow(series, value, NO_OUTCOME, time_ms, peak.trace(value) if trace_id is None else trace_id)

    return record


def observing(recorder: Recorder, series: int) -> Observe:
    """For an outcome."""
    rows, append, anchor, slow = recorder.rows, recorder.rows.append, recorder.anchor, recorder.put
    peak = recorder.peak(series)

    def observe(
        good: bool, value: float = 0.0, trace_id: bytes | str | None = None, time_ms: int | None = None
    ) -> None:
        if (
            good is True
            and time_ms is None
            and trace_id is None
            and type(value) is float
            and len(rows) < recorder.soon
            and -_BOUND < value < peak.high
        ):
            append((series, (monotonic_ns() + anchor.offset) // 1_000_000, value, GOOD, b""))
            return
        try:
            outcome = GOOD if good else BAD
        except Exception:  # noqa: BLE001 - whatever its own truth raises: the host must not notice
            recorder.refuse("type")
            return
        if trace_id is None:
            trace_id = trace.current() if outcome == BAD else peak.trace(value)
        slow(series, value, outcome, time_ms, trace_id)

    return observe
