"""Each record of a producer counts once: seen sequence numbers by (source, boot).

What: for each producer the intervals of sequence numbers seen; `admit` says for each record whether it is the first
of its number. Why: producers retry, gateways retry, and a doubled batch would be doubled money. Every answer is a
function of the log before the record, never of how the log was cut into chunks. Records in order cost a few vector
operations; only producers with gaps or repeats are looked at one by one. It refuses to grow without bound: at
`max_producers` the eighth with the oldest last record is forgotten, a producer silent for `memory_ms` of broker time is
forgotten, and of more than `max_gaps` holes the lowest is taken as seen.
"""

from __future__ import annotations

import bisect

import numpy as np
from numpy.typing import NDArray

from rollups.limits import Limits
from schemas.cells import Column

_COLUMNS = ("key", "begin", "end", "append_ms", "offset")


class Dedupe:
    """Producers of one source partition, as columns ordered by key. begin..end is the highest interval of each."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.key = np.zeros(0, np.uint64)
        self.begin = np.zeros(0, np.int64)
        self.end = np.zeros(0, np.int64)
        self.append_ms = np.zeros(0, np.int64)
        self.offset = np.zeros(0, np.int64)
        self.lower: dict[int, list[tuple[int, int]]] = {}  # intervals below the highest, for producers with holes
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self.key)

    def admit(
        self,
        key: NDArray[np.uint64],
        sequence: NDArray[np.int64],
        append_ms: NDArray[np.int64],
        offset: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """True for each record (in log order, shape (r,)) that was not seen before. sequence < 0 is always new."""
        new = np.ones(len(key), np.bool_)
        rows = np.flatnonzero(sequence >= 0)
        while len(rows):
            now = self._within_bounds(key[rows])
            if not now:
                self._forget_oldest()
                continue
            part = rows[:now]
            new[part] = self._admit(key[part], sequence[part], append_ms[part], offset[part])
            rows = rows[now:]
        return new

    def _within_bounds(self, key: NDArray[np.uint64]) -> int:
        """How many leading records can be taken before the number of producers would pass its limit."""
        room = self.limits.max_producers - len(self.key)
        if len(key) <= room:
            return len(key)
        distinct, first = np.unique(key, return_index=True)
        unknown = np.sort(first[~self._find(distinct)[1]])
        return len(key) if len(unknown) <= room else int(unknown[room])

    def _find(self, distinct: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(where each key is or belongs, whether it is there)."""
        place = np.searchsorted(self.key, distinct)
        if not len(self.key):
            return place, np.zeros(len(distinct), np.bool_)
        known: NDArray[np.bool_] = self.key[np.minimum(place, len(self.key) - 1)] == distinct
        return place, known

    def _admit(
        self,
        key: NDArray[np.uint64],
        sequence: NDArray[np.int64],
        append_ms: NDArray[np.int64],
        offset: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        order = np.argsort(key, kind="stable")
        key, sequence, append_ms, offset = key[order], sequence[order], append_ms[order], offset[order]
        starts = np.concatenate([[True], key[1:] != key[:-1]])
        first = np.flatnonzero(starts)
        last = np.append(first[1:], len(key)) - 1
        broken = np.zeros(len(key), np.bool_)
        memory = self.limits.producer_memory_ms
        broken[1:] = (np.diff(sequence) != 1) | (np.diff(append_ms) > memory)
        broken[starts] = False
        self._insert(key[first], append_ms[first])
        place, _ = self._find(key[first])
        fresh = (self.begin[place] < 0) | (append_ms[first] - self.append_ms[place] > memory)
        in_order = ~np.logical_or.reduceat(broken, first) & (fresh | (sequence[first] == self.end[place] + 1))
        slow = np.flatnonzero(~in_order)
        for group in np.flatnonzero(fresh & in_order) if self.lower else ():
            self.lower.pop(int(key[first[group]]), None)
        started = place[fresh & in_order]
        self.begin[started] = sequence[first[fresh & in_order]]
        self.end[place[in_order]] = sequence[last[in_order]]
        answer = np.ones(len(key), np.bool_)
        for group in slow:
            part = slice(int(first[group]), int(last[group]) + 1)
            answer[part] = self._one_by_one(int(place[group]), sequence[part], append_ms[part])
        self.append_ms[place] = append_ms[last]
        self.offset[place] = offset[last]
        restored = np.empty(len(key), np.bool_)
        restored[order] = answer
        return restored

    def _insert(self, distinct: NDArray[np.uint64], append_ms: NDArray[np.int64]) -> None:
        """Make rows for unknown producers: begin -1 says that nothing of theirs was seen."""
        place, known = self._find(distinct)
        at, unknown = place[~known], ~known
        if not len(at):
            return
        self.key = np.insert(self.key, at, distinct[unknown])
        self.begin = np.insert(self.begin, at, -1)
        self.end = np.insert(self.end, at, -1)
        self.append_ms = np.insert(self.append_ms, at, append_ms[unknown])
        self.offset = np.insert(self.offset, at, 0)

    def _one_by_one(self, place: int, sequence: NDArray[np.int64], append_ms: NDArray[np.int64]) -> list[bool]:
        """The exact rule, for one producer with a gap, a repeat or a long silence."""
        key = int(self.key[place])
        seen = self.lower.pop(key, [])
        if self.begin[place] >= 0:
            seen.append((int(self.begin[place]), int(self.end[place])))
        before = int(self.append_ms[place])
        answer = []
        for number, at in zip(sequence.tolist(), append_ms.tolist(), strict=True):
            if at - before > self.limits.producer_memory_ms:
                seen.clear()
            before = at
            answer.append(see(seen, number, self.limits.max_gaps))
        self.begin[place], self.end[place] = seen.pop()
        if seen:
            self.lower[key] = seen
        return answer

    def _forget_oldest(self) -> None:
        """Forget the eighth of the producers whose last record is the oldest: a function of the log, not of time."""
        keep = np.sort(np.argsort(self.offset, kind="stable")[len(self.key) // 8 + 1 :])
        gone = np.setdiff1d(np.arange(len(self.key)), keep)
        self.forgotten += len(gone)
        for key in self.key[gone].tolist() if self.lower else ():
            self.lower.pop(key, None)
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[keep])

    def columns(self) -> dict[str, Column]:
        """For a snapshot."""
        flat = [(key, *interval) for key, intervals in sorted(self.lower.items()) for interval in intervals]
        out: dict[str, Column] = {name: getattr(self, name) for name in _COLUMNS}
        out["lower_key"] = np.array([key for key, _, _ in flat], np.uint64)
        out["lower_begin"] = np.array([begin for _, begin, _ in flat], np.int64)
        out["lower_end"] = np.array([end for _, _, end in flat], np.int64)
        return out

    def load(self, columns: dict[str, Column]) -> None:
        """Inverse of `columns`."""
        for name in _COLUMNS:
            setattr(self, name, np.array(columns[name], np.uint64 if name == "key" else np.int64))
        self.lower = {}
        lows = (columns[name].tolist() for name in ("lower_key", "lower_begin", "lower_end"))
        for key, begin, end in zip(*lows, strict=True):
            self.lower.setdefault(int(key), []).append((int(begin), int(end)))


def see(seen: list[tuple[int, int]], number: int, max_gaps: int) -> bool:
    """Add `number` to the ascending, disjoint, non-adjacent intervals `seen`; False when it was in one of them."""
    at = bisect.bisect_right(seen, (number, 2**63))
    if at and seen[at - 1][1] >= number:
        return False
    joins_left = at > 0 and seen[at - 1][1] == number - 1
    joins_right = at < len(seen) and seen[at][0] == number + 1
    begin = seen[at - 1][0] if joins_left else number
    end = seen[at][1] if joins_right else number
    seen[at - joins_left : at + joins_right] = [(begin, end)]
    if len(seen) > max_gaps + 1:
        seen[:2] = [(seen[0][0], seen[1][1])]
    return True
