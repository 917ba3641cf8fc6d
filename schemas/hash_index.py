"""HashIndex: uint64 -> int64, looked up for a whole column at once.

What: an open-addressing table in two arrays; the keys are hashes already, so their low bits are the place. Why: a
lookup costs a few vector operations a column and no Python a row. It refuses key 0, which marks an empty place, and
growth beyond its limit: then it forgets everything and starts again, since it is a cache.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_LEAST: Final = 1 << 10  # places


class HashIndex:
    """At most `limit` keys; load below a third, so that most keys are in their own place."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.drops = 0  # times that it was full and was emptied
        self._keys = np.zeros(_LEAST, np.uint64)
        self._values = np.zeros(_LEAST, np.int64)

    def __len__(self) -> int:
        return self.size

    def clear(self) -> None:
        """Forget everything."""
        self.size = 0
        self._keys = np.zeros(_LEAST, np.uint64)
        self._values = np.zeros(_LEAST, np.int64)

    def items(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """(keys, values), shapes (size,), in no order that means anything."""
        used = np.flatnonzero(self._keys)
        return self._keys[used], self._values[used]

    def find(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(value of each key, whether it is known), shapes (n,). The value of an unknown key means nothing."""
        mask = np.uint64(len(self._keys) - 1)
        place = (keys & mask).astype(np.int64)
        there = self._keys[place]
        known = there == keys
        value = self._values[place]
        open_rows = np.flatnonzero(~known & (there != 0))
        while len(open_rows):
            place[open_rows] = (place[open_rows] + 1) & int(mask)
            there = self._keys[place[open_rows]]
            found = there == keys[open_rows]
            hits = open_rows[found]
            known[hits] = True
            value[hits] = self._values[place[hits]]
            open_rows = open_rows[~found & (there != 0)]
        return value, known

    def add(self, keys: NDArray[np.uint64], values: NDArray[np.int64]) -> None:
        """Distinct keys that are not in the table, none 0, with their values, shapes (n,)."""
        if self.size + len(keys) > self.limit:
            self.drops += 1
            self.clear()
            keys, values = keys[: self.limit], values[: self.limit]
        places = len(self._keys)
        while places < 3 * (self.size + len(keys)):
            places *= 2
        if places > len(self._keys):
            old_keys, old_values = self.items()
            self._keys, self._values = np.zeros(places, np.uint64), np.zeros(places, np.int64)
            self._place(old_keys, old_values)
        self._place(keys, values)
        self.size += len(keys)

    def _place(self, keys: NDArray[np.uint64], values: NDArray[np.int64]) -> None:
        """Each key takes the first free place from its own on; of rivals for one the last wins, the others go on."""
        mask = len(self._keys) - 1
        place = (keys & np.uint64(mask)).astype(np.int64)
        waiting = np.arange(len(keys))
        while len(waiting):
            at = place[waiting]
            free = self._keys[at] == 0
            self._keys[at[free]] = keys[waiting[free]]
            done = self._keys[at] == keys[waiting]
            self._values[at[done]] = values[waiting[done]]
            waiting = waiting[~done]
            place[waiting] = (place[waiting] + 1) & mask
