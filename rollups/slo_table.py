"""SLO cells of all source partitions: what each partial adds to good and total.

What: keeps, per (pane, source partition), the newest cumulative good and total of each group, and answers the
difference that a newer row makes. Why: the evaluator adds differences, so it never has to know about repeats. Cells are
kept until the late horizon, the older ones compressed, and then dropped; a row for a dropped pane is counted and
ignored. It refuses groups beyond its limit, counted too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rollups.definitions import Definitions
from rollups.limits import NEVER
from rollups.merge_limits import MAX_GROUPS, WARM_PANES
from rollups.packing import pack, unpack
from rollups.texts import Texts
from schemas.cells import Cells, Column

Ints = NDArray[np.int64]
Place = tuple[int, int]  # (pane start in ms, source partition)
_COLUMNS = ("group", "as_of", "good", "total")


@dataclasses.dataclass(frozen=True, slots=True)
class SloDeltas:
    """n changes of SLO cells. `good` and `total` in units of 2**-20."""

    group: NDArray[np.uint64]
    pane_ms: Ints
    good: Ints
    total: Ints
    definitions: Texts  # by number
    number: Ints

    def definition(self, row: int) -> bytes:
        """Canonical bytes of the row's SloGroup."""
        return self.definitions[int(self.number[row])]


@dataclasses.dataclass(slots=True)
class SloCells:
    """Columns of one (pane, source partition), shapes (n,), ordered by the group's number."""

    group: Ints
    as_of: Ints
    good: Ints
    total: Ints

    @classmethod
    def empty(cls) -> SloCells:
        """No groups."""
        return cls(*(np.zeros(0, np.int64) for _ in _COLUMNS))

    def take(self, group: Ints, as_of: Ints, good: Ints, total: Ints) -> tuple[Ints, Ints, Ints]:
        """Rows of distinct groups: (which of them are newer, what they add to good, to total)."""
        at = np.searchsorted(self.group, group)
        there = np.minimum(at, len(self.group) - 1)
        known = self.group[there] == group if len(self.group) else np.zeros(len(group), np.bool_)
        newer = np.flatnonzero(~known | (as_of > self.as_of[there])) if len(self.group) else np.arange(len(group))
        old_row, new_row = newer[known[newer]], newer[~known[newer]]
        more_good, more_total = good.copy(), total.copy()
        place = at[old_row]
        more_good[old_row] -= self.good[place]
        more_total[old_row] -= self.total[place]
        self.as_of[place], self.good[place], self.total[place] = as_of[old_row], good[old_row], total[old_row]
        if len(new_row):
            new_row = new_row[np.argsort(group[new_row])]
            for name, column in zip(_COLUMNS, (group, as_of, good, total), strict=True):
                setattr(self, name, np.insert(getattr(self, name), at[new_row], column[new_row]))
        return newer, more_good[newer], more_total[newer]

    def fold(self) -> bytes:
        """Compressed."""
        return pack({}, {name: getattr(self, name) for name in _COLUMNS}, [])

    @classmethod
    def unfold(cls, data: bytes) -> SloCells:
        """Inverse of `fold`."""
        columns = unpack(data).columns
        return cls(*(columns[name].astype(np.int64) for name in _COLUMNS))


class SloTable:
    """By (pane, source partition): warm or folded cells."""

    def __init__(self, max_groups: int = MAX_GROUPS) -> None:
        self.groups = Definitions(max_groups)
        self.warm: dict[Place, SloCells] = {}
        self.folded: dict[Place, bytes] = {}
        self.held: dict[Place, int] = {}  # total of all groups that was handed on, in units of 2**-20
        self.dropped_before_ms = NEVER
        self.beyond_horizon = 0
        self.refused = 0
        self.refused_ms: Ints = np.zeros(0, np.int64)  # panes of the rows that the last partial brought in vain
        self._newest_ms = NEVER

    def apply(self, source: int, rows: Cells) -> SloDeltas:
        """Take the SLO rows of one partial."""
        index = self.groups.index_of(source, rows)
        usable = (index >= 0) & (rows.pane_ms >= self.dropped_before_ms)
        self.refused_ms = rows.pane_ms[index < 0]
        self.refused += len(self.refused_ms)
        self.beyond_horizon += int(np.count_nonzero((index >= 0) & (rows.pane_ms < self.dropped_before_ms)))
        panes = np.unique(rows.pane_ms[usable]).tolist()
        none = np.zeros(0, np.int64)
        parts = [(none, none, none, none)]
        for pane_ms in panes:
            mine = np.flatnonzero(usable & (rows.pane_ms == pane_ms))
            mine = mine[np.lexsort((rows.offset[mine], index[mine]))]
            mine = mine[np.append(index[mine][1:] != index[mine][:-1], True)]
            newer, good, total = self._cells((pane_ms, source)).take(
                index[mine], rows.offset[mine], rows.good[mine], rows.total[mine]
            )
            parts.append((index[mine][newer], np.full(len(newer), pane_ms), good, total))
            self.held[pane_ms, source] = self.held.get((pane_ms, source), 0) + int(total.sum())
        number, pane, good, total = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        if panes and panes[-1] > self._newest_ms:
            self._newest_ms = panes[-1]
            self._fold_cold()
        return SloDeltas(self.groups.ids[number], pane, good, total, self.groups.known, number)

    def _cells(self, place: Place) -> SloCells:
        if place not in self.warm:
            folded = self.folded.pop(place, b"")
            self.warm[place] = SloCells.unfold(folded) if folded else SloCells.empty()
        return self.warm[place]

    def _fold_cold(self) -> None:
        """All but the newest panes."""
        panes = sorted({place[0] for place in self.warm})[:-WARM_PANES]
        for place in [place for place in self.warm if panes and place[0] <= panes[-1]]:
            self.folded[place] = self.warm.pop(place).fold()

    def drop_before(self, pane_ms: int) -> None:
        """Panes that start before are final for good."""
        if pane_ms <= self.dropped_before_ms:
            return
        self.dropped_before_ms = pane_ms
        for kept in (self.warm, self.folded, self.held):
            for place in [place for place in kept if place[0] < pane_ms]:
                del kept[place]

    def columns(self) -> dict[str, Column]:
        """For a snapshot: warm cells, one after the other; folded ones are written as they are."""
        warm = sorted(self.warm.items())
        none = np.zeros(0, np.int64)
        out: dict[str, Column] = {
            name: np.concatenate([none, *(getattr(cells, name) for _, cells in warm)]) for name in _COLUMNS
        }
        out["pane_ms"] = np.array([place[0] for place, _ in warm], np.int64)
        out["source"] = np.array([place[1] for place, _ in warm], np.int64)
        out["size"] = np.array([len(cells.group) for _, cells in warm], np.int64)
        out["numbers"] = np.array([self.dropped_before_ms, self.beyond_horizon, self.refused, self._newest_ms])
        out["held"] = np.array(
            [number for place in sorted(self.held) for number in (*place, self.held[place])], np.int64
        )
        out["folded"] = np.array([number for place in sorted(self.folded) for number in place], np.int64)
        return out

    def frozen(self) -> list[bytes]:
        """Folded cells, in the order that `columns` names."""
        return [self.folded[place] for place in sorted(self.folded)]

    def load(self, columns: dict[str, Column], frozen: Sequence[bytes]) -> None:
        """Inverse of `columns` and `frozen`."""
        values = {name: columns[name].astype(np.int64) for name in columns}
        ends = np.cumsum(values["size"]).tolist()
        places = zip(values["pane_ms"].tolist(), values["source"].tolist(), strict=True)
        for place, low, high in zip(places, [0, *ends[:-1]], ends, strict=False):
            self.warm[place] = SloCells(*(values[name][low:high].copy() for name in _COLUMNS))
        self.dropped_before_ms, self.beyond_horizon, self.refused, self._newest_ms = values["numbers"].tolist()
        held = values["held"].reshape(-1, 3).tolist()
        self.held = {(pane_ms, source): total for pane_ms, source, total in held}
        names = values["folded"].reshape(-1, 2).tolist()
        self.folded = {(pane_ms, source): data for (pane_ms, source), data in zip(names, frozen, strict=True)}
