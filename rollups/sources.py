"""The clocks of the source partitions, as their partials tell them, and the kind of a series.

What: per source partition the newest watermarks, event times and as-of offset; their minimum and maximum. Why: a pane is
final when every source partition says so; one that has not spoken yet holds all of them back. It refuses to read a
clock: a silent source partition moves on by the heartbeats of whoever holds it, and by no more idle time than the
broker's stamps of the partials say has passed; a kind that never came is passed by those stamps alone. So a worker
whose clock is wrong moves nobody's time (decision 13).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rollups.limits import IDLE_SLACK_MS, NEVER, SOURCE_KINDS
from schemas.cells import Cells
from schemas.records import PartialBatch

_MORE = np.uint8(0x80)
_LOW = np.uint8(0x7F)


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """Time by kind of source, ms; NEVER where not known."""

    watermarks: tuple[int, ...]  # lowest of all source partitions
    max_event_ms: tuple[int, ...]  # newest of all source partitions
    now_ms: int  # log time: the broker's newest stamp of a partial
    source: int  # source partition that spoke last
    reached_ms: NDArray[np.int64]  # event time that each has told all of, idle time included; (sources, kinds)


class Sources:
    """All source partitions of the telemetry topic."""

    def __init__(self, count: int, lateness_ms: Sequence[int]) -> None:
        self.watermarks = np.full((count, SOURCE_KINDS), NEVER, np.int64)
        self.max_event_ms = np.full((count, SOURCE_KINDS), NEVER, np.int64)
        self.grew_ms = np.full((count, SOURCE_KINDS), NEVER, np.int64)  # log time at which the newest event time came
        self.as_of = np.full(count, -1, np.int64)
        self.source = -1
        self._lateness_ms = np.array(lateness_ms, np.int64)
        self.now_ms = NEVER

    def hear(self, batch: PartialBatch, stamp_ms: int) -> None:
        """A partial came, stamped by the broker. Clocks never go back, so a repeat or a zombie changes nothing."""
        source = self.source = batch.partition
        now_ms = self.now_ms = max(self.now_ms, stamp_ms)
        newest = np.maximum(self.max_event_ms[source], batch.max_event_ms)
        self.grew_ms[source, newest > self.max_event_ms[source]] = now_ms
        claimed, unseen = np.array(batch.watermarks, np.int64), newest == NEVER
        idle = newest + (now_ms - self.grew_ms[source]) - self._lateness_ms + IDLE_SLACK_MS
        # it says its own present of a kind that never came, when all is read: the log's present is meant
        present = unseen & (claimed > NEVER) & (claimed >= batch.now_ms - self._lateness_ms)
        claimed = np.where(present, now_ms - self._lateness_ms, np.where(unseen, NEVER, np.minimum(claimed, idle)))
        self.watermarks[source] = np.maximum(self.watermarks[source], claimed)
        self.max_event_ms[source] = newest
        self.as_of[source] = max(int(self.as_of[source]), batch.as_of)

    def clock(self) -> Clock:
        """Over all source partitions."""
        reached = np.maximum(self.max_event_ms, self.watermarks + self._lateness_ms)
        return Clock(
            tuple(self.watermarks.min(axis=0).tolist()),
            tuple(self.max_event_ms.max(axis=0).tolist()),
            self.now_ms,
            self.source,
            np.where(self.max_event_ms == NEVER, NEVER, reached),
        )

    def heard(self) -> dict[int, int]:
        """As-of offset of each source partition that has spoken."""
        return {source: int(as_of) for source, as_of in enumerate(self.as_of) if as_of >= 0}


def source_kinds(cells: Cells) -> NDArray[np.uint8]:
    """Kind of source of each series row, shape (n,), read from the canonical definitions.

    A definition is Avro: metric string, kind enum, unit string, source_kind enum, labels. Enum indexes and the lengths
    of the unit fit one byte each; the metric's length fits two. Rows without a definition count as kind 3, other.
    """
    if not len(cells.definition_bytes):
        return np.full(len(cells), SOURCE_KINDS - 1, np.uint8)
    data = np.concatenate([cells.definition_bytes, np.zeros(8, np.uint8)])
    end = cells.definition_end.astype(np.int64)
    start = np.concatenate([np.zeros(1, np.int64), end[:-1]])
    metric, at = _length(data, start)
    at = at + metric + 1  # over the metric and its kind
    at = np.minimum(at, len(data) - 4)
    unit, at = _length(data, at)
    at = np.minimum(at + unit, len(data) - 1)
    kinds = np.minimum(data[at] >> np.uint8(1), np.uint8(SOURCE_KINDS - 1))
    return np.where(end > start, kinds, np.uint8(SOURCE_KINDS - 1)).astype(np.uint8)


def _length(data: NDArray[np.uint8], at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(string lengths below 8,192, position after the length) of zigzag varints at `at`."""
    first, second = data[at], data[at + 1]
    two = (first & _MORE) != 0
    value = (first & _LOW).astype(np.int64) | np.where(two, (second & _LOW).astype(np.int64) << 7, 0)
    return value >> 1, at + 1 + two
