"""KeyedHash: 64-bit hashes of very many short byte slices at once.

What: all slices of a buffer are gathered as rows of 32-bit digits and multiplied by a random matrix; the four sums of
each row are folded into one word. Why: the decoder must recognise a series by its raw bytes for millions of records a
second, and a dictionary costs more than all the rest of the decoding. The matrix is stretched (SHAKE-256) from a key of
the system's randomness, which travels with the state of its partition, so nobody who sends can aim at a collision.

Collision probability. The hash is multilinear over the integers: digits below 2**32, weights below 2**15, at most 64
digits a block, so each sum is below 2**53 (with room for the length) and exact in a double whatever the order of
additions. Two slices that differ (the length is a digit too, so padding cannot hide a difference) have one sum equal
with probability at most 2**-15, all four with at most 2**-60; folding to 64 bits adds 2**-64, as for a random function.
So a new slice meets one of 100,000 known ones with at most 1e-13, one of the 262,144 that are remembered at most with
2.5e-13; 100,000 slices are free of any collision but once in 2e8 keys.
(Carter and Wegman, Universal classes of hash functions, 1979.) It refuses slices longer than HASHED_BYTES.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.limits import HASHED_BYTES
from schemas.measurements import mix64

KEY_BYTES: Final = 32
BLOCK_BYTES: Final = 256
PADDING_BYTES: Final = BLOCK_BYTES  # what must follow the last slice in its buffer
_DIGITS: Final = BLOCK_BYTES // 4
_SUMS: Final = 4
_WEIGHT_BITS: Final = 15
_CACHE_BYTES: Final = 1 << 17  # slices taken at once: they and their digits stay in the second-level cache
_FOLD: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


class KeyedHash:
    """A hash function of its own for each key; without one, of the system's randomness."""

    def __init__(self, key: bytes = b"") -> None:
        self.key = key or os.urandom(KEY_BYTES)
        blocks = HASHED_BYTES // BLOCK_BYTES
        stretched = hashlib.shake_256(self.key).digest(8 * (blocks * _DIGITS + 1) * _SUMS)
        drawn = np.frombuffer(stretched, np.uint64)
        weights = (drawn >> np.uint64(64 - _WEIGHT_BITS)).astype(np.float64).reshape(-1, _SUMS)
        self._weights = weights[:-1].reshape(blocks, _DIGITS, _SUMS)
        self._length_weights = weights[-1]
        lower = np.tri(BLOCK_BYTES + 1, BLOCK_BYTES, -1, dtype=np.uint8) * np.uint8(0xFF)
        self._masks = {width: np.ascontiguousarray(lower[: width + 1, :width]) for width in (32, 64, 128, BLOCK_BYTES)}

    def slices(
        self, buffer: NDArray[np.uint8], start: NDArray[np.int64], length: NDArray[np.int64]
    ) -> NDArray[np.uint64]:
        """Hash of each buffer[start : start + length], shapes (n,), never 0. PADDING_BYTES follow the last slice."""
        longest = int(length.max(initial=0))
        if longest > HASHED_BYTES:
            raise ValueError(f"a slice of {longest} bytes is longer than {HASHED_BYTES}")
        sums = self._sums(buffer, start, np.minimum(length, BLOCK_BYTES), 0)
        sums += self._length_weights[:, None] * length
        out = sums.astype(np.uint64)
        for block in range(1, -(-longest // BLOCK_BYTES)):
            longer = np.flatnonzero(length > block * BLOCK_BYTES)
            part = np.minimum(length[longer] - block * BLOCK_BYTES, BLOCK_BYTES)
            out[:, longer] += self._sums(buffer, start[longer] + block * BLOCK_BYTES, part, block).astype(np.uint64)
        return fold(out)

    def _sums(
        self, buffer: NDArray[np.uint8], start: NDArray[np.int64], length: NDArray[np.int64], block: int
    ) -> NDArray[np.float64]:
        """The exact sums of one block of each slice, shape (_SUMS, n)."""
        longest = int(length.max(initial=0))
        table = next(width for width in self._masks if width >= longest)
        width = max(8, -(-longest // 8) * 8)
        view = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, strides=(1,))
        mask = np.ndarray((table + 1,), f"V{width}", self._masks[table], strides=(table,))
        weights = np.ascontiguousarray(self._weights[block, : width // 4].T)
        out = np.empty((_SUMS, len(start)))
        step = _CACHE_BYTES // width
        for first in range(0, len(start), step):
            some = slice(first, first + step)
            words = view[start[some]].view(np.uint64)
            words &= mask[length[some]].view(np.uint64)
            digits = words.view(np.uint32).astype(np.float64).reshape(-1, width // 4)
            out[:, some] = weights @ digits.T
        return out


def fold(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One word of four, never 0. Shapes (4, n) -> (n,)."""
    out = mix64(sums[0] + sums[1] * _FOLD[0])
    out = mix64((out ^ sums[2]) + sums[3] * _FOLD[1])
    return np.where(out == 0, _FOLD[2], out)
