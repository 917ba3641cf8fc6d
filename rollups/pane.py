"""One open pane of one kind of source: dense columns by slot, one row a series.

What: count, exact sum, low, high, good, total, fingerprint, histogram and exemplar of each series in ten seconds of
event time. Why dense: `ufunc.at` on an array that fits the cache costs 1 to 3 ns a measurement, sorting 50. Columns
grow by doubling; good and total exist only once an outcome came, fingerprints only when switched on. It refuses
times and offsets: which pane a row belongs to was decided before.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rollups import exemplar, histogram, sums
from rollups.buckets import Bases, Buckets
from rollups.limits import MAX_ROWS_BETWEEN_CARRIES, NEVER, PENDING_EXEMPLAR_ROWS, ROWS_A_SLOT, ROWS_A_SLOT_SLOW
from schemas.cells import Column

_LEAST = 64
#: column -> value of an untouched slot
ALWAYS: dict[str, float] = {"count": 0, "sum_whole": 0, "sum_frac": 0, "low": np.inf, "high": -np.inf}
OUTCOMES: dict[str, float] = {"good": 0, "absent": 0}  # measurements; absent: those without an outcome, rare
FINGERPRINT: dict[str, float] = {"fingerprint": 0}
EXEMPLARS: dict[str, str] = {"slot": "i8", "bad": "u1", "value": "f8", "trace": "V16", "time_ms": "i8"}
GOOD_OUTCOME, NO_OUTCOME = 1, 2


@dataclasses.dataclass(slots=True)
class Exemplars:
    """Columns of exemplar candidates, shapes (k,); `time_ms` is event time."""

    slot: NDArray[np.int64]
    bad: NDArray[np.uint8]
    value: NDArray[np.float64]
    trace: NDArray[np.void]
    time_ms: NDArray[np.int64]

    @classmethod
    def none(cls) -> Exemplars:
        """No candidates."""
        return cls(**{name: np.zeros(0, dtype) for name, dtype in EXEMPLARS.items()})

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Exemplars:
        """The named candidates."""
        return Exemplars(self.slot[rows], self.bad[rows], self.value[rows], self.trace[rows], self.time_ms[rows])

    def plus(self, other: Exemplars) -> Exemplars:
        """These, then the others."""
        pairs = {name: [getattr(self, name), getattr(other, name)] for name in EXEMPLARS}
        return Exemplars(**{name: np.concatenate(pair) for name, pair in pairs.items()})

    def best(self) -> Exemplars:
        """One candidate a slot, ordered by slot."""
        return self.take(exemplar.best(self.slot, self.bad, self.value, self.trace, self.time_ms))


@dataclasses.dataclass(slots=True)
class PaneRows:
    """Measurements, shapes (n,): slot int64, value, outcome (0 bad, 1 good, 2 none), event id."""

    slot: NDArray[np.int64]
    value: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    event_id: NDArray[np.uint64]


class Pane:
    """Cumulative cells of one (kind, pane). `touched` marks slots changed since the last provisional rows."""

    def __init__(
        self, start_ms: int, scale: int, fingerprint: bool, provisional: bool, bases: Bases | None = None
    ) -> None:
        self.start_ms = start_ms
        self.scale = scale
        self.buckets = Buckets(scale, ROWS_A_SLOT_SLOW if provisional else ROWS_A_SLOT, bases)
        self.capacity = 0
        self.count = np.zeros(0, np.int64)
        self.sum_whole = np.zeros(0, np.int64)
        self.sum_frac = np.zeros(0, np.int64)
        self.low = np.zeros(0, np.float64)
        self.high = np.zeros(0, np.float64)
        self.good = np.zeros(0, np.int64)
        self.absent = np.zeros(0, np.int64)
        self.fingerprint = np.zeros(0, np.uint64)
        self.touched = np.zeros(0, np.bool_)
        self.has_outcomes, self.has_fingerprint, self.has_touched = False, fingerprint, provisional
        self.provisional_ms = NEVER  # tick time of the last provisional rows
        self.exemplars = Exemplars.none()
        self._exemplar_limit = PENDING_EXEMPLAR_ROWS
        self._uncarried = 0

    def reserve(self, capacity: int, outcomes: bool) -> None:
        """Make room for slots below `capacity`, and columns for outcomes if they come (nothing before had one)."""
        if outcomes and not self.has_outcomes:
            self.has_outcomes = True
            self.good, self.absent = np.zeros(self.capacity, np.int64), self.count.copy()
        if capacity <= self.capacity:
            return
        size = max(_LEAST, self.capacity)
        while size < capacity:
            size *= 2
        for name, fill in self.specification().items():
            old = getattr(self, name)
            grown = np.full(size, fill, old.dtype) if fill else np.zeros(size, old.dtype)
            grown[: self.capacity] = old
            setattr(self, name, grown)
        self.capacity = size

    def specification(self) -> dict[str, float]:
        """Columns in use and what an untouched slot holds."""
        used = dict(ALWAYS)
        used |= OUTCOMES if self.has_outcomes else {}
        used |= FINGERPRINT if self.has_fingerprint else {}
        used |= {"touched": 0} if self.has_touched else {}
        return used

    def add(
        self, rows: PaneRows, in_histogram: NDArray[np.bool_] | None, with_outcome: NDArray[np.bool_] | None
    ) -> None:
        """Add measurements. The masks say which have a histogram, an outcome (None: all). `reserve` made the room."""
        slot, value = rows.slot, rows.value
        whole, frac = sums.split(value)
        if self._uncarried + len(slot) > MAX_ROWS_BETWEEN_CARRIES:
            self.carry()
        self._uncarried += len(slot)
        np.add.at(self.count, slot, 1)
        np.add.at(self.sum_whole, slot, whole)
        np.add.at(self.sum_frac, slot, frac)
        np.minimum.at(self.low, slot, value)
        np.maximum.at(self.high, slot, value)
        if self.has_outcomes:
            good, absent = rows.outcome == GOOD_OUTCOME, rows.outcome == NO_OUTCOME
            if with_outcome is not None:
                good, absent = good & with_outcome, absent | ~with_outcome
            np.add.at(self.good, slot, good.astype(np.int64))
            if absent.any():
                np.add.at(self.absent, slot, absent.astype(np.int64))
        if self.has_fingerprint:
            np.add.at(self.fingerprint, slot, rows.event_id)
        if self.has_touched:
            self.touched[slot] = True
        if in_histogram is not None:
            slot, value = slot[in_histogram], value[in_histogram]
        if len(slot):
            self.buckets.add(slot, histogram.bucket(value, self.scale), self.capacity)

    def total(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Measurements with an outcome of the slots, once `has_outcomes`."""
        return self.count[slots] - self.absent[slots]

    def add_exemplars(self, new: Exemplars) -> None:
        """Candidates; one of each slot survives."""
        self.exemplars = self.exemplars.plus(new)
        if len(self.exemplars.slot) > self._exemplar_limit:
            self.exemplars = self.exemplars.best()
            self._exemplar_limit = 2 * len(self.exemplars.slot) + PENDING_EXEMPLAR_ROWS

    def carry(self) -> None:
        """Bring the sums into canonical form."""
        if self._uncarried:
            self.sum_whole, self.sum_frac = sums.carry(self.sum_whole, self.sum_frac)
            self._uncarried = 0

    def renumber(self, kept: NDArray[np.int64]) -> None:
        """Slots become positions in `kept` (ascending; every used slot is in it)."""
        place = np.full(max(self.capacity, int(kept.max(initial=-1)) + 1), -1, np.int64)
        place[kept] = np.arange(len(kept))
        columns = self.columns()
        for name in ("slot", "hist_slot", "exemplar_slot"):
            columns[name] = place[columns[name].astype(np.int64)]
        for name in self.specification():
            setattr(self, name, getattr(self, name)[:0])
        self.capacity = 0
        self.buckets = Buckets(self.scale, ROWS_A_SLOT_SLOW if self.has_touched else ROWS_A_SLOT)
        self.load(columns, len(kept))

    def columns(self) -> dict[str, Column]:
        """For a snapshot: used slots and their columns, histogram and exemplars."""
        self.carry()
        self.exemplars = self.exemplars.best()
        used = np.flatnonzero(self.count)
        out: dict[str, Column] = {"slot": used}
        out |= {name: getattr(self, name)[used] for name in self.specification()}
        hist_slot, out["hist_code"], out["hist_count"] = self.buckets.consolidated()
        out["hist_slot"] = hist_slot
        out |= {f"exemplar_{name}": getattr(self.exemplars, name) for name in EXEMPLARS}
        return out

    def load(self, columns: dict[str, Column], capacity: int) -> None:
        """Inverse of `columns`, into an empty pane."""
        self.reserve(max(capacity, 1), "good" in columns)
        used = columns["slot"].astype(np.int64)
        for name in self.specification():
            getattr(self, name)[used] = columns[name]
        hist_slot = columns["hist_slot"].astype(np.int64)
        self.buckets.load(hist_slot, columns["hist_code"].astype(np.int32), columns["hist_count"].astype(np.int64))
        loaded = {name: columns[f"exemplar_{name}"].astype(dtype) for name, dtype in EXEMPLARS.items()}
        self.exemplars = Exemplars(**loaded)
