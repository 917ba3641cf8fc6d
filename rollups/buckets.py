"""The histograms of one open pane: (slot, bucket) -> count, exact, cheap to add to.

What: new rows wait unsorted and are consolidated by sorting; a pane with much traffic has a dense window of WINDOW
buckets around the middle of each slot, where adding a row is one addition, and only rows outside of it wait. Where the
windows lie is learned from the first rows of a pane and handed on to the next pane of the kind. Why: sorting costs
30 ns a row and a hash in Python more, while most series live within four octaves. Which form a count is in never
shows: `consolidated` is the same. It refuses buckets beyond the scale's span.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollups import histogram
from rollups.limits import PENDING_HISTOGRAM_ROWS

WINDOW = 32  # buckets: four octaves at scale 3
_WINDOW_BITS = 5
_LEAST_PENDING = 1 << 13
_NO_BASE = np.iinfo(np.int32).min
_SLOT_BITS = 20  # MAX_SERIES slots
_TOP = np.iinfo(np.uint16).max

Keys = NDArray[np.unsignedinteger]


class Bases:
    """First code of each slot's window. A slot gets its base once; panes that share it never see it change."""

    __slots__ = ("code",)

    def __init__(self) -> None:
        self.code = np.zeros(0, np.int32)

    def of(self, slots: NDArray[np.int64], codes: NDArray[np.int32], capacity: int) -> NDArray[np.int32]:
        """Base of each row's slot, shape (n,); a slot without one gets a window around its first code."""
        if capacity > len(self.code):
            self.code = np.append(self.code, np.full(capacity - len(self.code), _NO_BASE, np.int32))
        base = self.code[slots]
        if int(base.min()) == _NO_BASE:
            fresh = base == _NO_BASE
            self.code[slots[fresh]] = codes[fresh] - WINDOW // 2
            base = self.code[slots]
        return base

    @classmethod
    def around(cls, mean: NDArray[np.float64], known: NDArray[np.bool_]) -> Bases:
        """Windows in the middle of which `mean` lies, for the slots that are `known`, shapes (capacity,)."""
        bases = cls()
        bases.code = np.where(known, np.rint(mean).astype(np.int32) - WINDOW // 2, np.int32(_NO_BASE))
        return bases


class Buckets:
    """Counts by key = slot << shift | (code + span); uint32 keys at scale 3 (half the sorting time), else uint64.

    `rows_a_slot`: how many rows for each slot pay for a dense window (64 bytes a slot). `bases` opens one at once.
    """

    __slots__ = (
        "_counts",
        "_headroom",
        "_keys",
        "_outside",
        "_pending",
        "_pending_rows",
        "_rows",
        "_rows_a_slot",
        "_span",
        "_window",
        "bases",
        "dtype",
        "shift",
    )

    def __init__(self, scale: int, rows_a_slot: int, bases: Bases | None = None) -> None:
        self._span = histogram.span(scale)
        self.shift = (2 * self._span + 1).bit_length()
        self.dtype: np.dtype[np.unsignedinteger] = np.dtype(np.uint32 if self.shift + _SLOT_BITS <= 32 else np.uint64)
        self._rows_a_slot = rows_a_slot
        self.bases = bases
        self._keys: Keys = np.zeros(0, self.dtype)
        self._counts = np.zeros(0, np.int64)
        self._pending: list[Keys] = []
        self._pending_rows = self._rows = self._outside = 0
        self._window = np.zeros(0, np.uint16)
        self._headroom = _TOP  # rows that the window can take before a count of it could overflow

    def add(self, slots: NDArray[np.int64], codes: NDArray[np.int32], capacity: int) -> None:
        """One count for each (slot, code), shapes (n,). `capacity` is above every slot of the pane."""
        self._rows += len(slots)
        if self.bases is not None:
            slots, codes = self._add_to_window(self.bases, slots, codes, capacity)
            self._outside += len(slots)
            if not len(slots):
                return
        self._pending.append(((slots << self.shift) + (codes + self._span)).astype(self.dtype))
        self._pending_rows += len(slots)
        if self._pending_rows >= min(PENDING_HISTOGRAM_ROWS, max(_LEAST_PENDING, self._rows_a_slot * capacity)):
            self._consolidate()
            if self.bases is None and self._rows >= self._rows_a_slot * capacity:
                self._learn(capacity)

    def _add_to_window(
        self, bases: Bases, slots: NDArray[np.int64], codes: NDArray[np.int32], capacity: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Count the rows inside of their slot's window; the others are returned."""
        if capacity * WINDOW > len(self._window):
            grown = np.zeros(capacity * WINDOW, np.uint16)  # untouched pages cost nothing
            grown[: len(self._window)] = self._window
            self._window = grown
        within = codes - bases.of(slots, codes, capacity)
        flat = (slots << _WINDOW_BITS) + within
        outside = np.flatnonzero(within.view(np.uint32) >= WINDOW)
        if len(outside):
            flat = flat[within.view(np.uint32) < WINDOW]
        while len(flat) > self._headroom:
            if self._headroom < _TOP // 2:
                self._spill()
            step = self._headroom
            self._count(flat[:step])
            flat = flat[step:]
        self._count(flat)
        return slots[outside], codes[outside]

    def _count(self, flat: NDArray[np.int64]) -> None:
        """One more in each named cell of the window; then look how high the counts are."""
        np.add.at(self._window, flat, np.uint16(1))
        highest = self._window if len(self._window) <= len(flat) else self._window[flat]
        self._headroom = min(self._headroom, _TOP - int(highest.max(initial=0)))

    def _spill(self) -> None:
        """Move the window's counts to the consolidated ones."""
        self._keys, self._counts = merged(*self._windowed(), self._keys, self._counts)
        self._window.fill(0)
        self._headroom = _TOP

    def _windowed(self) -> tuple[Keys, NDArray[np.int64]]:
        """(keys, counts) of the window."""
        if self.bases is None:
            return self._keys[:0], self._counts[:0]
        flat = np.flatnonzero(self._window)
        slots = flat >> _WINDOW_BITS
        codes = self.bases.code[slots] + (flat & (WINDOW - 1)) + self._span
        return ((slots << self.shift) + codes).astype(self.dtype), self._window[flat].astype(np.int64)

    def _learn(self, capacity: int) -> None:
        """Centre a window on the mean code of each slot seen so far."""
        slots, codes = self._split(self._keys)
        rows = np.bincount(slots, self._counts, capacity)
        mean = np.bincount(slots, self._counts * codes, capacity) / np.maximum(rows, 1)
        self.bases = Bases.around(mean, rows > 0)

    def handed_on(self) -> Bases | None:
        """What the next pane of the kind starts with: these windows if they paid, else none, to learn anew."""
        busy = self._rows * WINDOW >= self._rows_a_slot * len(self._window)
        return self.bases if busy and 4 * self._outside <= self._rows else None

    def _consolidate(self) -> None:
        """Sort the waiting rows and add them to the consolidated ones."""
        if not self._pending_rows:
            return
        waiting = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending)
        self._pending, self._pending_rows = [], 0
        waiting.sort()
        first = np.flatnonzero(np.concatenate([[True], waiting[1:] != waiting[:-1]]))
        counts = np.diff(np.append(first, len(waiting)))
        self._keys, self._counts = merged(self._keys, self._counts, waiting[first], counts)

    def _split(self, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(slot, code) of each key."""
        codes = (keys & self.dtype.type((1 << self.shift) - 1)).astype(np.int32) - np.int32(self._span)
        return (keys >> self.shift).astype(np.int64), codes

    def consolidated(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """(slot, code, count), ordered by slot and code, each pair once."""
        self._consolidate()
        keys, counts = merged(*self._windowed(), self._keys, self._counts)
        return *self._split(keys), counts

    def load(self, slots: NDArray[np.int64], codes: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
        """Start from what `consolidated` gave."""
        self._keys = ((slots << self.shift) + (codes + self._span)).astype(self.dtype)
        self._counts = counts
        self._rows = int(counts.sum())


def merged(
    keys: Keys, counts: NDArray[np.int64], other_keys: Keys, other_counts: NDArray[np.int64]
) -> tuple[Keys, NDArray[np.int64]]:
    """Sum of two sparse histograms, each with ascending distinct keys. Cheapest when the second one is small."""
    if not len(keys) or not len(other_keys):
        return (other_keys, other_counts) if not len(keys) else (keys, counts)
    place = np.searchsorted(keys, other_keys)
    present = keys[np.minimum(place, len(keys) - 1)] == other_keys
    counts = counts.copy()
    counts[place[present]] += other_counts[present]
    if present.all():
        return keys, counts
    at = place[~present]
    return np.insert(keys, at, other_keys[~present]), np.insert(counts, at, other_counts[~present])
