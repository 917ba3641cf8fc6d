"""Rows: measurements of one source, gathered into framed batches.

What: a series table and columns that grow, and are cut into records within the limits of the contract. Why: an export
holds a thousand points of a hundred series, and one record of all of them costs a hundredth of a thousand records. It
refuses nothing: what comes in was checked.
"""

from __future__ import annotations

import dataclasses

from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch
from schemas.limits import BATCH_MEASUREMENTS, BATCH_SERIES
from schemas.records import MeasureKind

_SPAN_MS = 2**32


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """What a series is, hashable."""

    metric: str
    kind: MeasureKind
    unit: str
    labels: tuple[tuple[str, str], ...]


@dataclasses.dataclass(slots=True)
class Framed:
    """A record, and how many points end in it."""

    value: bytes
    points: int


class Rows:
    """Of one (source, resource). `framed` has the records that are full; `close` adds the last one."""

    def __init__(self, source: str, resource: Resource) -> None:
        self._producer = Producer(source, "gateway")
        self._resource = resource
        self.framed: list[Framed] = []
        self._span = (0, 0)  # event times of the record, ms
        self._begin()

    def _begin(self) -> None:
        self._places: dict[Series, int] = {}
        self._entries: list[SeriesEntry] = []
        self._index: list[int] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._exemplars: list[tuple[int, bytes]] = []
        self._points = 0

    def add(self, series: Series, time_ms: int, values: list[float], exemplars: list[tuple[int, bytes]]) -> None:
        """The values of one point, and (place among them, trace id) of its exemplars."""
        at = 0
        while True:
            self._room(series, time_ms)
            part = values[at : at + BATCH_MEASUREMENTS - len(self._values)]
            first = len(self._values)
            self._exemplars += [(first + row - at, trace) for row, trace in exemplars if at <= row < at + len(part)]
            self._index += [self._place(series)] * len(part)
            self._times += [time_ms] * len(part)
            self._values += part
            at += len(part)
            if at >= len(values):
                self._points += 1
                return

    def _room(self, series: Series, time_ms: int) -> None:
        """Begin a new record where this one has no room for a value of the series."""
        full = len(self._values) == BATCH_MEASUREMENTS
        full |= len(self._entries) == BATCH_SERIES and series not in self._places
        if self._times and not full:
            full = max(time_ms, *self._span) - min(time_ms, *self._span) >= _SPAN_MS
        if full:
            self.close()
        self._span = (min(time_ms, self._span[0]), max(time_ms, self._span[1])) if self._times else (time_ms, time_ms)

    def _place(self, series: Series) -> int:
        place = self._places.get(series)
        if place is None:
            place = self._places[series] = len(self._entries)
            self._entries.append(SeriesEntry(series.metric, series.kind, series.unit, dict(series.labels)))
        return place

    def close(self) -> None:
        """Cut here."""
        if not self._values:
            return
        base = self._span[0]
        value = encode_batch(
            self._entries, self._resource, self._producer,
            base_ms=base, series=self._index, delta_ms=[time - base for time in self._times], value=self._values,
            exemplars=self._exemplars,
        )  # fmt: skip
        self.framed.append(Framed(value, self._points))
        self._begin()
