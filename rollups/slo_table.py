"""SLO cells of all source partitions: what each partial adds to good and total.

What: keeps, per (pane, source partition), the newest cumulative good and total of each group, and answers the
difference that a newer row makes. Why: the evaluator adds differences, so it never has to know about repeats. Cells are
kept until the late horizon and then dropped; a row for a dropped pane is counted and ignored.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rollups.latest import offsets_of, resolve, rows_of
from schemas.cells import Cells


@dataclasses.dataclass(frozen=True, slots=True)
class SloDeltas:
    """n changes of SLO cells. `good` and `total` in units of 2**-20."""

    group: NDArray[np.uint64]
    pane_ms: NDArray[np.int64]
    good: NDArray[np.int64]
    total: NDArray[np.int64]
    definitions: Cells

    def definition(self, row: int) -> bytes:
        """Canonical bytes of the row's SloGroup."""
        return self.definitions.definition(row)


class SloTable:
    """By (pane, source partition): cells ordered by group."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], Cells] = {}
        self.dropped_before_ms = -(2**62)
        self.beyond_horizon = 0

    def apply(self, source: int, rows: Cells) -> SloDeltas:
        """Take the SLO rows of one partial."""
        changes = [
            self._pane(source, int(pane_ms), rows.take(np.flatnonzero(rows.pane_ms == pane_ms)))
            for pane_ms in np.unique(rows.pane_ms)
        ]
        found = Cells.concatenate(changes)
        return SloDeltas(found.series, found.pane_ms, found.good, found.total, found)

    def _pane(self, source: int, pane_ms: int, rows: Cells) -> Cells:
        """Rows of one pane: what they add."""
        if pane_ms < self.dropped_before_ms:
            self.beyond_horizon += len(rows)
            return Cells.empty()
        place = (pane_ms, source)
        known = self.cells.get(place, Cells.empty())
        newer = rows.take(np.flatnonzero(rows.offset > offsets_of(known, rows.series)))
        if not len(newer):
            return newer
        newer = newer.take(np.argsort(newer.series))
        old = rows_of(known, newer.series)
        good, total = newer.good.copy(), newer.total.copy()
        at = np.searchsorted(newer.series, old.series)
        good[at] -= old.good
        total[at] -= old.total
        self.cells[place], _ = resolve(known, newer)
        return dataclasses.replace(newer, good=good, total=total)

    def drop_before(self, pane_ms: int) -> None:
        """Panes that start before are final for good."""
        self.dropped_before_ms = max(self.dropped_before_ms, pane_ms)
        for place in [place for place in self.cells if place[0] < pane_ms]:
            del self.cells[place]
