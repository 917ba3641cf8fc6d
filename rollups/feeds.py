"""Which SLO groups a series feeds, and the cells of those groups.

What: the FeedTable holds all feeds in compressed rows (a series names its first one and how many); SloCells holds
good and total by (pane, group), cumulative, fixed point. Why here: good and total are counted where the measurement
is, exactly, so no SLI depends on a bucket edge, and the cost follows the feeds of the rows that came, not the number
of SLOs. Cells outlive their pane until the late horizon, so that a late measurement needs no special row. Refuses:
groups are never renumbered while a cell names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rollups.limits import FIXED_POINT, PANE_MS, PENDING_EXEMPLAR_ROWS
from rollups.pane import EXEMPLARS, GOOD_OUTCOME, NO_OUTCOME, Exemplars, PaneRows
from schemas.cells import Column
from schemas.records import Feed, FeedMode

_UNIT = np.int64(FIXED_POINT)
_VALUE_MODES = (FeedMode.TOTAL, FeedMode.GOOD_AND_TOTAL)


class FeedTable:
    """Feeds by position, groups by number. Feeds of one series are neighbours."""

    def __init__(self) -> None:
        self.size = 0
        self.group = np.zeros(0, np.int64)
        self.mode = np.zeros(0, np.uint8)
        self.threshold = np.zeros(0, np.float64)
        self.modes: set[int] = set()
        self.group_id = np.zeros(0, np.uint64)
        self.definitions: list[bytes] = []
        self._number: dict[bytes, int] = {}

    @property
    def groups(self) -> int:
        """How many groups have a number."""
        return len(self.definitions)

    def append(self, feeds: Sequence[Feed]) -> tuple[int, int]:
        """(first position, how many) of one series' feeds."""
        first = self.size
        for feed in feeds:
            if self.size == len(self.group):
                for name in ("group", "mode", "threshold"):
                    old = getattr(self, name)
                    setattr(self, name, np.append(old, np.zeros(max(64, self.size), old.dtype)))
            self.group[self.size] = self._group(feed)
            self.mode[self.size], self.threshold[self.size] = int(feed.mode), feed.threshold
            self.modes.add(int(feed.mode))
            self.size += 1
        return first, len(feeds)

    def _group(self, feed: Feed) -> int:
        canonical = feed.group.canonical()
        number = self._number.get(canonical)
        if number is None:
            number = self._number[canonical] = len(self.definitions)
            if number == len(self.group_id):
                self.group_id = np.append(self.group_id, np.zeros(max(64, number), np.uint64))
            self.group_id[number] = feed.group.id
            self.definitions.append(canonical)
        return number

    def clear(self) -> None:
        """Forget the feeds, keep the groups' numbers."""
        self.size, self.modes = 0, set()

    def contributions(
        self, feeds: NDArray[np.int64], value: NDArray[np.float64], outcome: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(good, total) of each (feed, measurement) pair, shapes (n,), fixed point in units of 2**-20."""
        if self.modes == {int(FeedMode.OUTCOME)}:
            return (outcome == GOOD_OUTCOME) * _UNIT, (outcome != NO_OUTCOME) * _UNIT
        mode, limit = self.mode[feeds], self.threshold[feeds]
        total = np.full(len(feeds), _UNIT)
        good = np.zeros(len(feeds), np.int64)
        for present in self.modes:
            rows = mode == present
            if present == FeedMode.OUTCOME:
                good[rows] = (outcome[rows] == GOOD_OUTCOME) * _UNIT
                total[rows] = (outcome[rows] != NO_OUTCOME) * _UNIT
            elif present in _VALUE_MODES:
                amount = np.rint(value[rows] * FIXED_POINT).astype(np.int64)
                total[rows] = amount
                good[rows] = amount if present == FeedMode.GOOD_AND_TOTAL else 0
            else:
                good[rows] = _within(present, value[rows], limit[rows]) * _UNIT
        return good, total

    def columns(self) -> dict[str, Column]:
        """For a snapshot."""
        return {
            "group": self.group[: self.size],
            "mode": self.mode[: self.size],
            "threshold": self.threshold[: self.size],
            "group_id": self.group_id[: self.groups],
            "definition_length": np.array([len(definition) for definition in self.definitions], np.int64),
            "definition": np.frombuffer(b"".join(self.definitions), np.uint8),
        }

    def load(self, columns: dict[str, Column]) -> None:
        """Inverse of `columns`."""
        self.group, self.mode = columns["group"].astype(np.int64), columns["mode"].astype(np.uint8)
        self.threshold, self.group_id = columns["threshold"].astype(np.float64), columns["group_id"].astype(np.uint64)
        self.size, self.modes = len(self.group), {int(mode) for mode in np.unique(self.mode)}
        ends = np.cumsum(columns["definition_length"].astype(np.int64)).tolist()
        data = columns["definition"].tobytes()
        self.definitions = [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=False)]
        self._number = {definition: number for number, definition in enumerate(self.definitions)}


def _within(mode: int, value: NDArray[np.float64], limit: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the value is on the good side of the threshold."""
    if mode == FeedMode.AT_MOST:
        return value <= limit
    if mode == FeedMode.BELOW:
        return value < limit
    return value >= limit if mode == FeedMode.AT_LEAST else value > limit


class SloCells:
    """good and total of each group, by pane; which of them changed since the last drain."""

    def __init__(self) -> None:
        self.panes: dict[int, SloPane] = {}

    def add(
        self, table: FeedTable, start_ms: int, first: NDArray[np.int32], count: NDArray[np.int32], rows: PaneRows
    ) -> None:
        """Add measurements of one pane. `first`, `count`: the feeds of each row's series, shapes (n,)."""
        value, outcome = rows.value, rows.outcome
        fewest, most = int(count.min()), int(count.max())
        if most == 0:
            return
        feeds = first.astype(np.int64)
        if fewest != 1 or most != 1:
            ends = np.cumsum(count, dtype=np.int64)
            row = np.repeat(np.arange(len(count)), count)
            feeds = np.arange(int(ends[-1])) + (feeds - (ends - count))[row]
            value, outcome = value[row], outcome[row]
        good, total = table.contributions(feeds, value, outcome)
        self.panes.setdefault(start_ms, SloPane()).add(table.group[feeds], good, total, table.groups)

    def trace(
        self,
        table: FeedTable,
        start_ms: int,
        first: NDArray[np.int32],
        count: NDArray[np.int32],
        candidates: Exemplars,
    ) -> None:
        """Offer exemplars to the groups that their series feed. `first`, `count`: of each candidate's series, (k,)."""
        row = np.repeat(np.arange(len(count)), count)
        if not len(row):
            return
        ends = np.cumsum(count, dtype=np.int64)
        feeds = np.arange(int(ends[-1])) + (first.astype(np.int64) - (ends - count))[row]
        offered = candidates.take(row)
        offered.slot = table.group[feeds]
        self.panes.setdefault(start_ms, SloPane()).offer(offered)

    def columns(self) -> dict[str, Column]:
        """For a snapshot: groups of all panes that hold something, one after the other."""
        used = {start: pane.used() for start, pane in sorted(self.panes.items())}
        sizes = [len(groups) for groups in used.values()]
        panes = [(self.panes[start], groups) for start, groups in used.items()]
        none = np.zeros(0, np.int64)
        return {
            "start_ms": np.repeat(np.array(list(used), np.int64), sizes),
            "group": np.concatenate([none, *used.values()]),
            "good": np.concatenate([none, *(pane.good[groups] for pane, groups in panes)]),
            "total": np.concatenate([none, *(pane.total[groups] for pane, groups in panes)]),
            "touched": np.concatenate([none, *(pane.touched[groups] for pane, groups in panes)]).astype(np.uint8),
        } | self._traces()

    def _traces(self) -> dict[str, Column]:
        """The exemplars of all panes: EXEMPLARS by name, and the pane of each."""
        best = {start: pane.exemplars.best() for start, pane in sorted(self.panes.items())}
        sizes = [len(found.slot) for found in best.values()]
        out: dict[str, Column] = {"trace_start_ms": np.repeat(np.array(list(best), np.int64), sizes)}
        for name, dtype in EXEMPLARS.items():
            blocks = [getattr(found, name) for found in best.values()]
            out[f"trace_{name}"] = np.concatenate([np.zeros(0, dtype), *blocks])
        return out

    def load(self, columns: dict[str, Column]) -> None:
        """Inverse of `columns`."""
        start_ms = columns["start_ms"].astype(np.int64)
        first = np.searchsorted(start_ms, np.unique(start_ms))
        for low, high in pairwise([*first.tolist(), len(start_ms)]):
            pane = self.panes[int(start_ms[low])] = SloPane()
            groups = columns["group"][low:high].astype(np.int64)
            pane.reserve(int(groups.max()) + 1)
            pane.good[groups], pane.total[groups] = columns["good"][low:high], columns["total"][low:high]
            pane.touched[groups] = columns["touched"][low:high] != 0
            pane.changed = bool(pane.touched.any())
        found = Exemplars(**{name: columns[f"trace_{name}"].astype(dtype) for name, dtype in EXEMPLARS.items()})
        of_pane = columns["trace_start_ms"].astype(np.int64)
        for start in np.unique(of_pane).tolist():
            self.panes.setdefault(start, SloPane()).exemplars = found.take(of_pane == start)

    def drop_before(self, time_ms: int) -> None:
        """Forget panes that ended at or before `time_ms`."""
        for start_ms in [start for start in self.panes if start + PANE_MS <= time_ms]:
            del self.panes[start_ms]


class SloPane:
    """Columns by group number; the exemplars' `slot` is a group number too."""

    __slots__ = ("changed", "exemplars", "good", "total", "touched")

    def __init__(self) -> None:
        self.exemplars = Exemplars.none()
        self.good = np.zeros(0, np.int64)
        self.total = np.zeros(0, np.int64)
        self.touched = np.zeros(0, np.bool_)
        self.changed = False

    def reserve(self, groups: int) -> None:
        """Room for so many groups."""
        missing = groups - len(self.good)
        if missing > 0:
            missing = max(missing, len(self.good) // 2)
            for name in ("good", "total", "touched"):
                old = getattr(self, name)
                setattr(self, name, np.append(old, np.zeros(missing, old.dtype)))

    def add(self, group: NDArray[np.int64], good: NDArray[np.int64], total: NDArray[np.int64], groups: int) -> None:
        """Add contributions, shapes (n,)."""
        self.reserve(groups)
        np.add.at(self.good, group, good)
        np.add.at(self.total, group, total)
        self.touched[group] = True
        self.changed = True

    def offer(self, candidates: Exemplars) -> None:
        """Keep the better ones; one a group is what leaves."""
        self.exemplars = self.exemplars.plus(candidates)
        if len(self.exemplars.slot) > PENDING_EXEMPLAR_ROWS:
            self.exemplars = self.exemplars.best()

    def used(self) -> NDArray[np.int64]:
        """Numbers of the groups that hold something."""
        return np.flatnonzero((self.good != 0) | (self.total != 0) | self.touched)

    def drain(self) -> NDArray[np.int64]:
        """Numbers of the groups that changed since the last call."""
        self.changed = False
        groups = np.flatnonzero(self.touched)
        self.touched[groups] = False
        return groups
