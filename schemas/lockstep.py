"""Lockstep: the fields of many Avro records read at once, one field of all records a step.

What: `Lockstep` holds one position a record over their joined bytes and moves all of them over a number, a length or
some bytes with a few array operations. Why: Python a record costs microseconds, this costs tens of nanoseconds. It
refuses to explain: a record that is odd in any way is only marked, and read again by the strict reader, which answers
with the byte and the reason or finds the record good after all (a number of nine bytes is odd here, yet legal).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

PADDING_BYTES: Final = 16  # what must follow the last record in the buffer

_CONTINUES: Final = np.uint64(0x8080808080808080)
_ONE: Final = np.uint64(1)
_LOW_7: Final = np.uint64(0x007F007F007F007F)
_HIGH_7: Final = np.uint64(0x7F007F007F007F00)
_LOW_14: Final = np.uint64(0x00003FFF00003FFF)
_HIGH_14: Final = np.uint64(0x3FFF00003FFF0000)
_LOW_28: Final = np.uint64(0x000000000FFFFFFF)
_HIGH_28: Final = np.uint64(0x0FFFFFFF00000000)


def zigzag(words: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """(value, bytes used, whether it ends within eight bytes) of the number that each little-endian word begins with.

    The seven-bit groups are moved together in three steps, a parallel bit compress (Warren, Hacker's Delight, 7-4).
    """
    stops = ~words & _CONTINUES
    first = stops & (~stops + _ONE)
    kept = first | (first - _ONE)
    word = words & kept
    word = (word & _LOW_7) | ((word & _HIGH_7) >> _ONE)
    word = (word & _LOW_14) | ((word & _HIGH_14) >> np.uint64(2))
    word = (word & _LOW_28) | ((word & _HIGH_28) >> np.uint64(4))
    value = (word >> _ONE).view(np.int64) ^ -(word & _ONE).view(np.int64)
    return value, (np.bitwise_count(kept) >> 3).astype(np.int64), stops != 0


class Lockstep:
    """n positions over one buffer, shapes (n,). Where `ok` is false, `at` and all answers mean nothing."""

    def __init__(self, buffer: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        self.buffer = buffer
        self.words = np.ndarray((len(buffer) - 7,), "<u8", buffer, strides=(1,))
        self.traces = np.ndarray((len(buffer) - 15,), "V16", buffer, strides=(1,))
        self.end = end
        self.ok: NDArray[np.bool_] = at <= end
        self.at = np.minimum(at, end)

    def require(self, good: NDArray[np.bool_]) -> None:
        """Mark the records where `good` is false."""
        self.ok &= good

    def skip(self, size: NDArray[np.int64] | int) -> None:
        """Move on by `size` bytes; negative sizes and those beyond the record's end mark it."""
        after = self.at + size
        within = after <= self.end
        within &= after >= self.at
        if within.all():
            self.at = after
        else:
            self.ok &= within
            self.at = np.where(within, after, self.end)

    def word(self) -> NDArray[np.uint64]:
        """Eight bytes, little-endian, without moving."""
        return self.words[self.at]

    def byte(self, ahead: int = 0) -> NDArray[np.uint8]:
        """One byte, `ahead` (below PADDING_BYTES) of the position, without moving."""
        return self.buffer[self.at + ahead] if ahead else self.buffer[self.at]

    def long(self) -> NDArray[np.int64]:
        """A number of up to eight bytes."""
        value, used, ended = zigzag(self.word())
        self.ok &= ended
        self.skip(used)
        return value

    def field(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(first byte, size) of a length and so many bytes; the length is most often of one byte and not negative."""
        byte = self.byte()
        if (byte & 0x81).any():
            size = self.long()
            start = self.at
            self.skip(size)
            return start, size
        start = self.at + 1
        size = (byte >> 1).astype(np.int64)
        self.skip(size + 1)
        return start, size
