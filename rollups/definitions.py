"""Definitions met by the merge: each kept once, named by a small number.

What: `index_of` turns the ids of a block into numbers; a definition's bytes are read at first sight only, and put back
when rows leave. Why: definitions are most of a partial's bytes, and moving them through every sort and archive costs
more than the merge. Numbers of definitions that no pane can name any more are given out again. It refuses more than
its limit: such rows get no number, and are counted by the caller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollups.limits import NEVER, SOURCE_KINDS
from rollups.packing import compress, decompress
from rollups.sources import source_kinds
from rollups.texts import Texts, cut_out
from schemas.cells import Cells, Column
from schemas.hash_index import HashIndex

Index = NDArray[np.int64]
_NOT_ZERO = np.uint64(1)


class Definitions:
    """Columns by number: id, kind of source, newest pane; and the definition's bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.ids = np.zeros(0, np.uint64)
        self.kinds = np.zeros(0, np.uint8)
        self.newest_ms = np.zeros(0, np.int64)
        self.known = Texts()
        self._free: list[int] = []
        self._numbers = HashIndex(limit)
        self._last: dict[int, tuple[NDArray[np.uint64], Index]] = {}  # by source: its longest block's ids and numbers
        self._frozen = b""  # of `known`, as long as that does not change

    def __len__(self) -> int:
        return len(self._numbers)

    def index_of(self, source: int, cells: Cells) -> Index:
        """Number of each row's definition, shape (n,); -1 where the limit is met. Rows are of one source partition.

        A source partition's panes name mostly the same series in the same order, so its longest block is remembered.
        """
        last = self._last.get(source)
        if last is not None and len(last[0]) == len(cells) and np.array_equal(last[0], cells.series):
            index = last[1]
        else:
            index = self._find(cells.series)
            if len(index) and int(index.min()) < 0:
                self._add(cells, np.flatnonzero(index < 0))
                index = self._find(cells.series)
            if last is None or 2 * len(cells) > len(last[0]):
                self._last[source] = (np.array(cells.series), index)
        known = np.flatnonzero(index >= 0)
        np.maximum.at(self.newest_ms, index[known], cells.pane_ms[known])
        return index

    def _find(self, ids: NDArray[np.uint64]) -> Index:
        number, known = self._numbers.find(_key(ids))
        return np.where(known, number, np.int64(-1))

    def _add(self, cells: Cells, rows: Index) -> None:
        """Definitions of the first row of each new id, as far as the limit goes."""
        _, first = np.unique(cells.series[rows], return_index=True)
        rows = rows[np.sort(first)][: max(0, self.limit - len(self))]
        if not len(rows):
            return
        ends = cells.definition_end.astype(np.int64)
        length = np.diff(ends, prepend=0)[rows]
        found = cut_out(cells.definition_bytes.data, ends[rows] - length, ends[rows])
        kinds = source_kinds(cells)[rows]
        reused = min(len(self._free), len(rows))
        numbers = np.array([self._free.pop() for _ in range(reused)], np.int64)
        numbers = np.concatenate([numbers, np.arange(len(self.known), len(self.known) + len(rows) - reused)])
        missing = len(rows) - reused
        self.ids = np.append(self.ids, np.zeros(missing, np.uint64))
        self.kinds = np.append(self.kinds, np.full(missing, SOURCE_KINDS - 1, np.uint8))
        self.newest_ms = np.append(self.newest_ms, np.full(missing, NEVER, np.int64))
        self.known.put(numbers, found, length)
        self.ids[numbers], self.kinds[numbers] = cells.series[rows], kinds
        self.newest_ms[numbers] = NEVER
        self._numbers.add(_key(self.ids[numbers]), numbers)
        self._last, self._frozen = {}, b""

    def _reindex(self) -> None:
        """After numbers were given free, or loaded."""
        used = np.ones(len(self.known), np.bool_)
        used[self._free] = False
        numbers = np.flatnonzero(used)
        self._numbers.clear()
        self._numbers.add(_key(self.ids[numbers]), numbers)
        self._last, self._frozen = {}, b""

    def forget(self, before_ms: list[int]) -> int:
        """Give numbers free whose newest pane starts before their kind's time; how many."""
        old = self.newest_ms < np.array(before_ms, np.int64)[self.kinds]
        old[self._free] = False
        gone = np.flatnonzero(old)
        if len(gone):
            self.known.drop(gone)
            self._free += gone[::-1].tolist()
            self._reindex()
        return len(gone)

    def named(self, cells: Cells) -> Cells:
        """Rows whose `series` is a number, with ids and definitions."""
        index = cells.series.astype(np.int64)
        data, length = self.known.take(index)
        columns: dict[str, Column] = {name: getattr(cells, name) for name in cells.__slots__}
        columns["series"] = self.ids[index]
        columns["definition_end"] = np.cumsum(length).astype(np.int32)
        columns["definition_bytes"] = np.frombuffer(data, np.uint8)
        return Cells(**columns)  # type: ignore[arg-type]

    def columns(self) -> dict[str, Column]:
        """For a snapshot, with `frozen`."""
        return {
            "ids": self.ids,
            "kinds": self.kinds,
            "newest_ms": self.newest_ms,
            "free": np.array(self._free, np.int64),
            "length": self.known.lengths,
        }

    def frozen(self) -> bytes:
        """All definitions, compressed; the same bytes until one is added or forgotten."""
        if not self._frozen:
            self._frozen = compress(self.known.all())
        return self._frozen

    def load(self, columns: dict[str, Column], frozen: bytes) -> None:
        """Inverse of `columns` and `frozen`."""
        length = columns["length"].astype(np.int64)
        self.known = Texts()
        self.known.put(np.arange(len(length)), decompress(frozen), length)
        self.ids = columns["ids"].astype(np.uint64)
        self.kinds = columns["kinds"].astype(np.uint8)
        self.newest_ms = columns["newest_ms"].astype(np.int64)
        self._free = columns["free"].astype(np.int64).tolist()
        self._reindex()
        self._frozen = frozen


def _key(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """As the index wants them: the low bits of the ids of one merge partition are all the same, and none may be 0."""
    return np.maximum(ids.byteswap(), _NOT_ZERO)
