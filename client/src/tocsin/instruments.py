"""Instruments: counter, gauge, histogram, outcome; each bound to one series and cheap to call.

What: an instrument is a metric with its labels resolved; `bind` adds labels and gives another. Why: labels are checked
and looked up once, at bind, so that the recording call only appends a row. They refuse to raise from a recording call:
what cannot be recorded is counted in `Client.stats.refused`.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.recorder import BAD, GOOD, NO_OUTCOME, Recorder, Tally

#: kind, name, unit, labels as given -> the series' number, and its tally when it is a counter
Resolve = Callable[[str, str, str, dict[str, object]], "tuple[int, Tally | None]"]


class Instrument:
    """What the four instruments share: an identity and the way to narrow it down."""

    __slots__ = ("_put", "_recorder", "_resolve", "_series", "_tally", "labels", "name", "unit")
    KIND = ""

    def __init__(self, name: str, unit: str, labels: dict[str, object], resolve: Resolve, recorder: Recorder) -> None:
        self.name = name
        self.unit = unit
        self.labels = labels
        self._resolve = resolve
        self._recorder = recorder
        self._put = recorder.put
        self._series, self._tally = resolve(self.KIND, name, unit, labels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, unit={self.unit!r}, labels={self.labels!r})"


class Counter(Instrument):
    """A sum that only grows; sent as deltas. Without a time, amounts are added up between flushes."""

    __slots__ = ()
    KIND = "counter"

    def bind(self, **labels: object) -> Counter:
        """The same counter with more labels. Raises InvalidLabel."""
        return Counter(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)

    def add(self, amount: float = 1, time_ms: int | None = None) -> None:
        """Add an amount >= 0, in the counter's unit. `time_ms`: event time, ms since epoch; sent on its own then."""
        tally = self._tally
        if tally is not None:
            self._recorder.add(tally, amount, time_ms)


class Gauge(Instrument):
    """A value that goes up and down."""

    __slots__ = ()
    KIND = "gauge"

    def bind(self, **labels: object) -> Gauge:
        """The same gauge with more labels. Raises InvalidLabel."""
        return Gauge(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)

    def set(self, value: float, time_ms: int | None = None) -> None:
        """Record the value now, or at `time_ms`, ms since epoch."""
        self._put(self._series, value, NO_OUTCOME, time_ms, None)


class Histogram(Instrument):
    """A distribution of values."""

    __slots__ = ()
    KIND = "histogram"

    def bind(self, **labels: object) -> Histogram:
        """The same histogram with more labels. Raises InvalidLabel."""
        return Histogram(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)

    def record(self, value: float, time_ms: int | None = None, trace_id: bytes | str | None = None) -> None:
        """Record one value. `trace_id`: 16 bytes or 32 hex digits, kept as an exemplar."""
        self._put(self._series, value, NO_OUTCOME, time_ms, trace_id)


class Outcome(Instrument):
    """Something that went well or did not, with a value: the natural input of an SLO."""

    __slots__ = ()
    KIND = "outcome"

    def bind(self, **labels: object) -> Outcome:
        """The same outcome with more labels. Raises InvalidLabel."""
        return Outcome(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)

    def observe(
        self,
        good: bool,
        value: float = 0.0,
        trace_id: bytes | str | None = None,
        time_ms: int | None = None,
    ) -> None:
        """Record whether it was good. `trace_id`: 16 bytes or 32 hex digits, kept as an exemplar."""
        self._put(self._series, value, GOOD if good else BAD, time_ms, trace_id)
