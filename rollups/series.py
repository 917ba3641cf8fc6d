"""The series of one source partition: definition -> index, and what each index means.

What: `add` gives a series a slot among those of its kind of source; the index is kind << 32 | slot, so that a row's
kind needs no lookup and panes hold only the slots of their kind. Each slot has its id, its kind of measurement and
its feeds (compressed rows: first and count into the FeedTable). Why: everything after the decoder is arrays.
Refuses: more than `max_series` series; a further one is counted under the overflow series of its (metric, kind, unit,
source kind), labelled tocsin_overflow, and when even those are many under one series a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rollups.feeds import FeedTable
from rollups.limits import MAX_OVERFLOW_SERIES, SOURCE_KINDS, Limits
from rollups.packing import compress, decompress
from rollups.texts import Texts
from schemas.cells import Column
from schemas.records import Feed, MeasureKind, SeriesDefinition, short_hash

KIND_SHIFT = 32
SLOT_MASK = (1 << KIND_SHIFT) - 1
OVERFLOW_LABEL = "tocsin_overflow"
CATCH_ALL_METRIC = "tocsin_overflow"

FeedsOf = Callable[[SeriesDefinition], Sequence[Feed]]
_GROWING = {
    "id": "u8",
    "measure": "u1",
    "first": "i4",
    "count": "i4",
    "active_ms": "i8",
    "overflow": "u1",
    "length": "i4",
}
_DERIVED = {"place": "i4"}  # from the others: no snapshot holds it


class KindSeries:
    """The series of one kind of source, columns by slot (longer than `size`: they grow by doubling).

    `lanes`: definitions once more, by target partition: what leaves together lies together.
    """

    def __init__(self, targets: int = 1) -> None:
        self.size = 0
        self.definitions: list[bytes] = []
        self.lanes = [Texts() for _ in range(targets)]
        self.id = np.zeros(0, np.uint64)
        self.measure = np.zeros(0, np.uint8)
        self.first = np.zeros(0, np.int32)  # feeds: first position in the FeedTable
        self.count = np.zeros(0, np.int32)  # feeds: how many
        self.active_ms = np.zeros(0, np.int64)  # broker time when the slot was last seen to be in use
        self.overflow = np.zeros(0, np.uint8)
        self.length = np.zeros(0, np.int32)  # bytes of the definition
        self.place = np.zeros(0, np.int32)  # its number in the lane of its target
        self.most_feeds = 0
        self.all_histograms = True
        self.all_outcomes = True
        self.has_outcomes = False
        self.has_overflow = False
        self._frozen: list[tuple[int, bytes]] = []  # (series, compressed definitions), in order of slot

    def append(self, canonical: bytes, series_id: int, measure: int, feeds: tuple[int, int], active_ms: int) -> int:
        """A new slot. `feeds` is (first, count)."""
        slot = self.size
        if slot == len(self.id):
            for name, dtype in (_GROWING | _DERIVED).items():
                setattr(self, name, np.append(getattr(self, name), np.zeros(max(64, slot), dtype)))
        self.size += 1
        self.definitions.append(canonical)
        self.id[slot], self.measure[slot], self.active_ms[slot] = series_id, measure, active_ms
        self.first[slot], self.count[slot] = feeds
        self.length[slot] = len(canonical)
        self.place[slot] = self.lanes[series_id % len(self.lanes)].append(canonical)
        self._note(measure, feeds[1])
        return slot

    def _note(self, measure: int, feeds: int) -> None:
        self.most_feeds = max(self.most_feeds, feeds)
        self.all_histograms &= measure in (MeasureKind.HISTOGRAM, MeasureKind.OUTCOME)
        self.all_outcomes &= measure == MeasureKind.OUTCOME
        self.has_outcomes |= measure == MeasureKind.OUTCOME

    def histogram_rows(self, slots: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Which rows are of a kind that has a histogram; None: all."""
        return None if self.all_histograms else self.measure[slots] >= int(MeasureKind.HISTOGRAM)

    def outcome_rows(self, slots: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Which rows are of a kind that has outcomes; None: all."""
        return None if self.all_outcomes else self.measure[slots] == int(MeasureKind.OUTCOME)

    def frozen(self) -> list[tuple[int, bytes]]:
        """Definitions in compressed blocks. A block is compressed again only when as much has come after it."""
        covered = sum(count for count, _ in self._frozen)
        start = covered
        while self._frozen and self._frozen[-1][0] < 2 * (self.size - start) and covered < self.size:
            start -= self._frozen.pop()[0]
        if start < self.size:
            new = self.definitions[start : self.size]
            self._frozen.append((self.size - start, compress(b"".join(new))))
        return list(self._frozen)

    def columns(self) -> dict[str, Column]:
        """For a snapshot; the definitions travel frozen."""
        return {name: getattr(self, name)[: self.size] for name in _GROWING}

    def load(self, columns: dict[str, Column], frozen: list[tuple[int, bytes]]) -> None:
        """Inverse of `columns` and `frozen`, into an empty one. Raises CorruptState."""
        definitions: list[bytes] = []
        for count, block in frozen:
            data, done = decompress(block), len(definitions)
            ends = np.cumsum(columns["length"][done : done + count], dtype=np.int64).tolist()
            definitions += [data[start:end] for start, end in pairwise([0, *ends])]
        self._hold(columns, definitions)
        self._frozen = list(frozen)

    def keep(self, slots: NDArray[np.int64]) -> None:
        """Only these slots, renumbered in order."""
        kept = {name: column[slots] for name, column in self.columns().items()}
        self.most_feeds, self.all_histograms, self.all_outcomes, self.has_outcomes = 0, True, True, False
        self._hold(kept, [self.definitions[slot] for slot in slots.tolist()])
        self._frozen = []

    def _hold(self, columns: dict[str, Column], definitions: list[bytes]) -> None:
        for name, dtype in _GROWING.items():
            setattr(self, name, np.array(columns[name], dtype))
        self.size, self.definitions = len(self.id), definitions
        self.place, lane = np.zeros(self.size, np.int32), self.id % np.uint64(len(self.lanes))
        for target in range(len(self.lanes)):
            slots = np.flatnonzero(lane == target)
            self.place[slots] = np.arange(len(slots))
            self.lanes[target] = Texts()
            texts = b"".join([definitions[slot] for slot in slots.tolist()])
            self.lanes[target].put(np.arange(len(slots)), texts, self.length[slots].astype(np.int64))
        for measure in np.unique(self.measure).tolist():
            self._note(measure, int(self.count.max(initial=0)))
        self.has_overflow = bool(self.overflow.any())


class SeriesRegistry:
    """All series of one source partition."""

    def __init__(self, feeds: FeedsOf, limits: Limits, targets: int = 1) -> None:
        self.limits = limits
        self.kinds = [KindSeries(targets) for _ in range(SOURCE_KINDS)]
        self.feeds = FeedTable()
        self.append_ms = 0  # broker time reached by the log: what a new series counts as last used
        self.overflowed = 0  # definitions that went to an overflow series
        self._feeds_of = feeds
        self._index: dict[bytes, int] = {}
        self._overflow_series = 0

    def __len__(self) -> int:
        return len(self._index)

    def add(self, definition: SeriesDefinition) -> int:
        """Index of the series; a new one gets a slot, or at the limit the index of its overflow series."""
        canonical = definition.canonical()
        found = self._index.get(canonical)
        if found is not None:
            return found
        if len(self._index) - self._overflow_series < self.limits.max_series:
            return self._append(definition, canonical, overflow=False)
        self.overflowed += 1
        return self._overflow(definition)

    def _overflow(self, definition: SeriesDefinition) -> int:
        labels = {OVERFLOW_LABEL: "true"}
        own = SeriesDefinition(definition.metric, definition.kind, definition.unit, definition.source_kind, labels)
        found = self._index.get(own.canonical())
        if found is None and self._overflow_series >= MAX_OVERFLOW_SERIES:
            own = SeriesDefinition(CATCH_ALL_METRIC, definition.kind, "", definition.source_kind, labels)
            found = self._index.get(own.canonical())
        return self._append(own, own.canonical(), overflow=True) if found is None else found

    def _append(self, definition: SeriesDefinition, canonical: bytes, *, overflow: bool) -> int:
        kind = int(definition.source_kind)
        series = self.kinds[kind]
        feeds = self.feeds.append(self._feeds_of(definition))
        slot = series.append(canonical, short_hash(canonical), int(definition.kind), feeds, self.append_ms)
        if overflow:
            series.overflow[slot] = 1
            series.has_overflow = True
            self._overflow_series += 1
        index = kind << KIND_SHIFT | slot
        self._index[canonical] = index
        return index

    def reindex(self) -> None:
        """Rebuild the lookup after slots were loaded or renumbered."""
        self._index = {}
        for kind, series in enumerate(self.kinds):
            start = kind << KIND_SHIFT
            self._index.update(zip(series.definitions, range(start, start + series.size), strict=True))
        self._overflow_series = sum(int(series.overflow[: series.size].sum()) for series in self.kinds)

    def refeed(self) -> None:
        """Ask for the feeds of every series again: the SLO configuration is another one."""
        self.feeds.clear()
        for series in self.kinds:
            series.most_feeds = 0
            for slot, canonical in enumerate(series.definitions):
                first, count = self.feeds.append(self._feeds_of(SeriesDefinition.from_bytes(canonical)))
                series.first[slot], series.count[slot] = first, count
                series.most_feeds = max(series.most_feeds, count)
