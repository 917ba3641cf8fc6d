"""Instruments: counter, gauge, histogram, outcome; each bound to one series and cheap to call.

What: an instrument is a metric with its labels resolved; `bind` adds labels and gives another. Why: labels are checked
and looked up once, at bind, so that the recording call only appends a row. They refuse to raise from a recording call:
what cannot be recorded is counted in `Client.stats.refused`.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin import hot
from tocsin.measure import Timing
from tocsin.recorder import Recorder, Tally

#: kind, name, unit, labels as given -> the series' number, and its tally when it is a counter
Resolve = Callable[[str, str, str, dict[str, object]], "tuple[int, Tally | None]"]


class Instrument:
    """What the four instruments share: an identity and the way to narrow it down."""

    __slots__ = ("_recorder", "_resolve", "_series", "labels", "name", "unit")
    KIND = ""

    def __init__(self, name: str, unit: str, labels: dict[str, object], resolve: Resolve, recorder: Recorder) -> None:
        self.name = name
        self.unit = unit
        self.labels = labels
        self._resolve = resolve
        self._recorder = recorder
        self._series, tally = resolve(self.KIND, name, unit, labels)
        self._make(tally)

    def _make(self, tally: Tally | None) -> None:
        """Make the recording call."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, unit={self.unit!r}, labels={self.labels!r})"


class Counter(Instrument):
    """A sum that only grows; sent as deltas. Without a time, amounts are added up between flushes.

    `add(amount=1, time_ms=None)`: an amount >= 0 in the counter's unit; with a time (ms since epoch) sent on its own.
    """

    __slots__ = ("add",)
    KIND = "counter"
    add: hot.Add

    def _make(self, tally: Tally | None) -> None:
        self.add = hot.adding(self._recorder, tally or Tally(self._series))

    def bind(self, **labels: object) -> Counter:
        """The same counter with more labels. Raises InvalidLabel."""
        return Counter(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)


class Gauge(Instrument):
    """A value that goes up and down. `set(value, time_ms=None)`: now, or at a time, ms since epoch."""

    __slots__ = ("set",)
    KIND = "gauge"
    set: hot.Set

    def _make(self, tally: Tally | None) -> None:
        self.set = hot.setting(self._recorder, self._series)

    def bind(self, **labels: object) -> Gauge:
        """The same gauge with more labels. Raises InvalidLabel."""
        return Gauge(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)


class Histogram(Instrument):
    """A distribution of values.

    `record(value, time_ms=None, trace_id=None)`. `trace_id`: 16 bytes or 32 hex digits, kept as an exemplar;
    the highest value between two flushes takes the current trace by itself.
    """

    __slots__ = ("record",)
    KIND = "histogram"
    record: hot.Record

    def _make(self, tally: Tally | None) -> None:
        self.record = hot.recording(self._recorder, self._series)

    def bind(self, **labels: object) -> Histogram:
        """The same histogram with more labels. Raises InvalidLabel."""
        return Histogram(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)


class Outcome(Instrument):
    """Something that went well or did not, with a value: the natural input of an SLO.

    `observe(good, value=0.0, trace_id=None, time_ms=None)`. `trace_id`: 16 bytes or 32 hex digits, kept as an exemplar;
    what was bad takes the current trace by itself, and so does the highest value between two flushes.
    """

    __slots__ = ("observe",)
    KIND = "outcome"
    observe: hot.Observe

    def _make(self, tally: Tally | None) -> None:
        self.observe = hot.observing(self._recorder, self._series)

    def bind(self, **labels: object) -> Outcome:
        """The same outcome with more labels. Raises InvalidLabel."""
        return Outcome(self.name, self.unit, {**self.labels, **labels}, self._resolve, self._recorder)

    def timed(self) -> Timing:
        """A block, `with` or `async with`: good unless it raises; its duration is the value, in the outcome's unit."""
        return Timing(self.observe, self.unit)
