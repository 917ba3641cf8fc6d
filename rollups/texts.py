"""Texts by number, one after the other in one buffer: definitions that leave again and again.

What: `put` and `append` copy texts in, `take` copies those of some numbers out. Numbers whose texts are neighbours in the
buffer leave in one copy, and a pane's rows name nearly all of them in order: a million rows are some ten thousand copies.
Why: joining a million single objects costs a cache miss for each. What was dropped is a hole, until half is holes. It
refuses to look inside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
FIRST = 64


class Texts:
    """Columns by number (longer than the number of texts: they grow by doubling), and the buffer."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._start = np.zeros(0, np.int64)
        self._length = np.zeros(0, np.int64)
        self._size = 0
        self._holes = 0  # bytes of the buffer that no number names

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, number: int) -> bytes:
        start = int(self._start[number])
        return bytes(self._data[start : start + int(self._length[number])])

    def append(self, text: bytes) -> int:
        """Its number."""
        number = self._size
        self._reserve(number + 1)
        self._start[number], self._length[number] = len(self._data), len(text)
        self._data += text
        return number

    def put(self, numbers: Index, data: bytes, length: Index) -> None:
        """Texts of numbers that have none, shapes (n,); they lie in `data` one after the other."""
        if len(numbers):
            self._reserve(int(numbers.max()) + 1)
            self._start[numbers], self._length[numbers] = len(self._data) + np.cumsum(length) - length, length
            self._data += data

    def _reserve(self, size: int) -> None:
        if size > len(self._start):
            more = np.zeros(max(FIRST, size, 2 * len(self._start)) - len(self._start), np.int64)
            self._start, self._length = np.append(self._start, more), np.append(self._length, more)
        self._size = max(self._size, size)

    def drop(self, numbers: Index) -> None:
        """These are empty from now on."""
        self._holes += int(self._length[numbers].sum())
        self._length[numbers] = 0
        if 2 * self._holes > len(self._data):
            self._data, self._holes = bytearray(self.all()), 0
            self._start[: self._size] = np.cumsum(self.lengths) - self.lengths

    def take(self, numbers: Index) -> tuple[bytes, Index]:
        """(the texts of these numbers one after the other; the length of each, shape (n,))."""
        start, length = self._start[numbers], self._length[numbers]
        return cut_out(self._data, start, start + length), length

    @property
    def lengths(self) -> Index:
        """Of all, shape (size,)."""
        return self._length[: self._size]

    def all(self) -> bytes:
        """The texts of all numbers, in their order."""
        return self.take(np.arange(self._size))[0]


def cut_out(data: bytearray | memoryview, start: Index, end: Index) -> bytes:
    """The pieces start:end of `data`, one after the other; neighbours in one copy. Shapes (n,)."""
    if not len(start):
        return b""
    cuts = np.flatnonzero(start[1:] != end[:-1]) + 1
    lows, highs = start[np.append(0, cuts)].tolist(), end[np.append(cuts - 1, len(end) - 1)].tolist()
    with memoryview(data) as view:
        return b"".join([view[low:high] for low, high in zip(lows, highs, strict=True)])
