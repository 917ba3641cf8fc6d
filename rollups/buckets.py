"""The histograms of one open pane: (slot, bucket) -> count, exact, cheap to add to.

What: new rows wait unsorted and are consolidated by sorting; a pane with much traffic gets a dense window of WINDOW
buckets around the middle of each slot, where adding a row is one addition, and only rows outside of it wait. Why:
sorting costs 30 ns a row and a hash in Python more, while most series live within four octaves. Which form a count
is in never shows: `consolidated` is the same. It refuses buckets beyond the scale's span.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollups import histogram
from rollups.limits import PENDING_HISTOGRAM_ROWS

WINDOW = 32  # buckets: four octaves at scale 3
_WINDOW_BITS = 5
_ROWS_A_SLOT = 4  # rows per slot that pay for a dense window (128 bytes a slot)
_LEAST_PENDING = 1 << 13
_NO_BASE = np.iinfo(np.int32).min
_SLOT_BITS = 20  # MAX_SERIES slots

Keys = NDArray[np.unsignedinteger]


class Buckets:
    """Counts by key = slot << shift | (code + span); uint32 keys at scale 3 (half the sorting time), else uint64."""

    __slots__ = (
        "_base",
        "_counts",
        "_keys",
        "_pending",
        "_pending_rows",
        "_rows",
        "_span",
        "_window",
        "dtype",
        "shift",
    )

    def __init__(self, scale: int) -> None:
        self._span = histogram.span(scale)
        self.shift = (2 * self._span + 1).bit_length()
        self.dtype: np.dtype[np.unsignedinteger] = np.dtype(np.uint32 if self.shift + _SLOT_BITS <= 32 else np.uint64)
        self._keys: Keys = np.zeros(0, self.dtype)
        self._counts = np.zeros(0, np.int64)
        self._pending: list[Keys] = []
        self._pending_rows = 0
        self._rows = 0
        self._window: NDArray[np.uint32] | None = None
        self._base = np.zeros(0, np.int32)

    def add(self, slots: NDArray[np.int64], codes: NDArray[np.int32], capacity: int) -> None:
        """One count for each (slot, code), shapes (n,). `capacity` is above every slot of the pane."""
        self._rows += len(slots)
        if self._window is not None:
            slots, codes = self._add_to_window(self._window, slots, codes, capacity)
            if not len(slots):
                return
        self._pending.append(((slots << self.shift) + (codes + self._span)).astype(self.dtype))
        self._pending_rows += len(slots)
        if self._pending_rows >= min(PENDING_HISTOGRAM_ROWS, max(_LEAST_PENDING, _ROWS_A_SLOT * capacity)):
            self._consolidate()
            if self._window is None and self._rows >= _ROWS_A_SLOT * capacity:
                self._open_window(capacity)

    def _add_to_window(
        self, window: NDArray[np.uint32], slots: NDArray[np.int64], codes: NDArray[np.int32], capacity: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Count the rows inside of their slot's window; the others are returned."""
        if capacity > len(self._base):
            self._base = np.append(self._base, np.full(capacity - len(self._base), _NO_BASE, np.int32))
            self._window = window = np.append(window, np.zeros(capacity * WINDOW - len(window), np.uint32))
        base = self._base[slots]
        if int(base.min()) == _NO_BASE:
            fresh = base == _NO_BASE
            self._base[slots[fresh]] = codes[fresh] - WINDOW // 2
            base = self._base[slots]
        within = codes - base
        outside = within.view(np.uint32) >= WINDOW
        flat = (slots << _WINDOW_BITS) + within
        if not outside.any():
            np.add.at(window, flat, np.uint32(1))
            return slots[:0], codes[:0]
        np.add.at(window, flat[~outside], np.uint32(1))
        return slots[outside], codes[outside]

    def _open_window(self, capacity: int) -> None:
        """Centre a window on the mean code of each slot seen so far."""
        slots = (self._keys >> self.shift).astype(np.int64)
        codes = (self._keys & self.dtype.type((1 << self.shift) - 1)).astype(np.int64) - self._span
        rows = np.bincount(slots, self._counts, capacity)
        mean = np.bincount(slots, self._counts * codes, capacity) / np.maximum(rows, 1)
        self._base = np.where(rows > 0, np.rint(mean).astype(np.int32) - WINDOW // 2, _NO_BASE).astype(np.int32)
        self._window = np.zeros(capacity * WINDOW, np.uint32)
        within = codes - self._base[slots]
        inside = (within >= 0) & (within < WINDOW)
        self._window[(slots[inside] << _WINDOW_BITS) + within[inside]] = self._counts[inside]
        self._keys, self._counts = self._keys[~inside], self._counts[~inside]

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

    def consolidated(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """(slot, code, count), ordered by slot and code, each pair once."""
        self._consolidate()
        keys, counts = self._keys, self._counts
        if self._window is not None:
            flat = np.flatnonzero(self._window)
            slots = flat >> _WINDOW_BITS
            codes = self._base[slots] + (flat & (WINDOW - 1)) + self._span
            dense = ((slots << self.shift) + codes).astype(self.dtype)
            keys, counts = merged(dense, self._window[flat].astype(np.int64), keys, counts)
        slot = (keys >> self.shift).astype(np.int64)
        code = (keys & self.dtype.type((1 << self.shift) - 1)).astype(np.int32) - np.int32(self._span)
        return slot, code, counts

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
