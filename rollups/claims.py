"""Claims: what a source partition says lies in each closed pane, and what the merge of its rows finds there.

What: the aggregate keeps one number for each closed pane and target, counted where the pane is and not where rows are
made of it; batches repeat those that changed lately. The merge holds each against the rows that came. Why: a partial that
never arrived leaves no trace in what did; a sum that travels apart from its rows does. A claim is a function of the log
and of the batch's as-of offset alone, so one made after a replay says the same (decision 3). It refuses open panes, whose
rows are on their way, and batches of a worker that lies behind another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollups.limits import CLAIM_REPEATS_MS, FIXED_POINT, MAX_CLAIMS, MAX_OWING, NEVER, SOURCE_KINDS
from schemas.cells import Column

Ints = NDArray[np.int64]
Pane = tuple[int, int]  # (kind of source, or SLO; start in ms)

SLO: Final = SOURCE_KINDS  # stands for a kind: the cells of SLO groups, which all kinds share
KINDS: Final = SOURCE_KINDS + 1
OUT: Final = -1  # stands for a source partition: what left the merge as rollups, against what it held
FIELDS: Final = 3


class Claim(NamedTuple):
    """So many measurements (of SLO cells: their total, in units of 2**-20) lie in a pane."""

    kind: int
    pane_ms: int
    total: int


def read(flat: tuple[int, ...]) -> list[Claim]:
    """As a batch carries them: three numbers each."""
    return [Claim(*flat[at : at + FIELDS]) for at in range(0, len(flat), FIELDS)]


class Claims:
    """Of one source partition: totals by pane and target, shape (targets,) each."""

    def __init__(self, targets: int) -> None:
        self.targets = targets
        self.totals: dict[Pane, Ints] = {}
        self._changed: dict[Pane, int] = {}  # until when it is repeated, on the aggregate's clock; 0: not yet said

    def set(self, pane: Pane, ids: NDArray[np.uint64], counts: Ints) -> None:
        """All that lies in a pane: of each series or group, its id and how many."""
        self.totals[pane] = self._by_target(ids, counts)
        self._changed[pane] = 0

    def add(self, pane: Pane, ids: NDArray[np.uint64], counts: Ints) -> None:
        """More of it."""
        self.totals[pane] = self.totals.get(pane, np.zeros(self.targets, np.int64)) + self._by_target(ids, counts)
        self._changed[pane] = 0

    def _by_target(self, ids: NDArray[np.uint64], counts: Ints) -> Ints:
        out = np.zeros(self.targets, np.int64)
        np.add.at(out, (ids % np.uint64(self.targets)).astype(np.int64), counts)
        return out

    def due(self, now_ms: int) -> list[Pane]:
        """Panes to speak of now: those that changed a short while ago, the newest MAX_CLAIMS. Saying starts the while."""
        for pane, until_ms in list(self._changed.items()):
            if not until_ms:
                self._changed[pane] = now_ms + CLAIM_REPEATS_MS
            elif not now_ms < until_ms <= now_ms + CLAIM_REPEATS_MS:  # over, or the clock was set back
                del self._changed[pane]
        return sorted(self._changed, key=lambda pane: (pane[1], pane[0]))[-MAX_CLAIMS:]

    def of(self, target: int, panes: list[Pane]) -> tuple[int, ...]:
        """What a batch to that target says of them."""
        return tuple(number for pane in panes for number in (*pane, int(self.totals[pane][target])))

    def drop_before(self, time_ms: int) -> None:
        """Forget panes that start before."""
        for pane in [pane for pane in self.totals if pane[1] < time_ms]:
            del self.totals[pane]
            self._changed.pop(pane, None)

    def columns(self) -> dict[str, Column]:
        """For a snapshot."""
        panes = sorted(self.totals)
        return {
            "kind": np.array([kind for kind, _ in panes], np.int64),
            "start_ms": np.array([start_ms for _, start_ms in panes], np.int64),
            "total": np.concatenate([np.zeros(0, np.int64), *(self.totals[pane] for pane in panes)]),
        }

    def load(self, columns: dict[str, Column]) -> None:
        """Inverse of `columns`; all of it is said again."""
        panes = zip(columns["kind"].tolist(), columns["start_ms"].tolist(), strict=True)
        totals = columns["total"].astype(np.int64).reshape(-1, self.targets)
        self.totals = dict(zip(panes, totals, strict=True))
        self._changed = dict.fromkeys(self.totals, 0)


class Owing:
    """What claims and rows of all source partitions differ by, by (source partition, kind, pane)."""

    def __init__(self) -> None:
        self.by_place: dict[tuple[int, int, int], int] = {}  # claimed less found; never 0
        self.excused: dict[tuple[int, int], None] = {}  # (source partition, pane): rows were refused by a limit

    def judge(self, source: int, claim: Claim, found: int) -> None:
        """One claim against what was found."""
        place = (source, claim.kind, claim.pane_ms)
        if (source, claim.pane_ms) in self.excused or found == claim.total:
            self.by_place.pop(place, None)
        elif place in self.by_place or len(self.by_place) < MAX_OWING:
            self.by_place[place] = claim.total - found

    def excuse(self, source: int, panes: Ints) -> None:
        """Rows of these panes were refused, and are counted elsewhere."""
        for pane_ms in np.unique(panes).tolist():
            self.excused[source, pane_ms] = None
        while len(self.excused) > MAX_OWING:
            del self.excused[next(iter(self.excused))]

    @property
    def measurements(self) -> int:
        """How many, whichever way they differ; a fraction of one counts as one."""
        return sum(
            -(-abs(owed) // FIXED_POINT) if kind == SLO else abs(owed) for (_, kind, _), owed in self.by_place.items()
        )

    def __iter__(self) -> Iterator[tuple[tuple[int, int, int], int]]:
        return iter(sorted(self.by_place.items()))

    def columns(self) -> dict[str, Column]:
        """For a snapshot: four numbers a row."""
        owing = [number for place, owed in self for number in (*place, owed)]
        excused = [number for place in self.excused for number in place]
        return {"owing": np.array(owing, np.int64), "excused": np.array(excused, np.int64)}

    def load(self, columns: dict[str, Column]) -> None:
        """Inverse of `columns`."""
        rows = columns["owing"].astype(np.int64).reshape(-1, 4).tolist()
        self.by_place = {(source, kind, pane_ms): owed for source, kind, pane_ms, owed in rows}
        places = columns["excused"].astype(np.int64).reshape(-1, 2).tolist()
        self.excused = dict.fromkeys((source, pane_ms) for source, pane_ms in places)


def oldest(newest_ms: int, horizon_ms: int) -> int:
    """Panes that start before it are spoken of no more."""
    return NEVER if newest_ms == NEVER else newest_ms - horizon_ms
