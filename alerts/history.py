"""History: good and total of each SLO group, over every window its policy asks for.

What: per group, rings of buckets (10 s, 1 m, 5 m, 1 h) and, beside them, the running sum of every window. A delta
goes into its bucket and into the windows that hold the bucket; as time moves, expired buckets leave the sums. Why:
the sums of a window then cost what changed, not how long the window is, and a late correction lands in the window
it belongs to. All arithmetic is on int64 (fixed point, 2**-20), so sums are exact and independent of order.
It refuses to judge: no targets and no burn rates here.

A window [t - W, t) reaches into its oldest bucket; of that bucket it counts the share inside, as if the bucket's
measurements were spread evenly. Whole buckets alone would make a window of 2 m up to 10 s too long, and a page late.

Memory: 16 bytes a bucket. The default policy for 30 d takes 392 + 127 + 291 + 723 buckets = 25 kB a group; scaled
to 1 d it is 320 + 151 + 291 buckets = 12 kB.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alerts import limits

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WIDTHS_MS = (10_000, 60_000, 300_000, 3_600_000)
_STEPS_MAX = 8  # buckets to walk one by one; a longer jump is summed anew
NEVER = -(1 << 62)


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """A window to keep, in ms, and the least number of buckets it is made of (its resolution)."""

    length_ms: int
    buckets_min: int


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Which rings exist and which ring each window reads. Tuples by ring, and by window."""

    widths_ms: tuple[int, ...]
    slots: tuple[int, ...]
    windows_ms: tuple[int, ...]
    ring_of: tuple[int, ...]

    @classmethod
    def of(cls, windows: Sequence[Window]) -> Layout:
        """The smallest rings that hold all windows at their resolution, as they are now and as they were HOLD_MS ago."""
        chosen = [
            max((width for width in WIDTHS_MS if width * window.buckets_min <= window.length_ms), default=WIDTHS_MS[0])
            for window in windows
        ]
        widths = tuple(sorted(set(chosen)))
        longest = {w: max(x.length_ms for x, of in zip(windows, chosen, strict=True) if of == w) for w in widths}
        slots = tuple(-(-longest[width] // width) + 2 + -(-limits.HOLD_MS // width) for width in widths)
        return cls(widths, slots, tuple(w.length_ms for w in windows), tuple(widths.index(width) for width in chosen))

    @property
    def bytes_per_group(self) -> int:
        """Memory of one group, in bytes."""
        return 16 * sum(self.slots) + 8 * len(self.slots) + 32 * len(self.windows_ms)


@dataclasses.dataclass(frozen=True, slots=True)
class Sums:
    """Whole buckets by (group, window): good and total in units of 2**-20, and how many buckets hold data."""

    good: Ints
    total: Ints
    measured: Ints


@dataclasses.dataclass(frozen=True, slots=True)
class Shares:
    """The same, with the share of the oldest bucket that lies inside the window; good and total in measurements."""

    good: Floats
    total: Floats
    measured: Ints


class History:
    """Rings and window sums of the groups of one layout; a group is a row."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.rows = 0
        self.good = [np.zeros((0, slots), np.int64) for slots in layout.slots]
        self.total = [np.zeros((0, slots), np.int64) for slots in layout.slots]
        self.head = np.zeros((0, len(layout.slots)), np.int64)  # newest bucket of each ring
        self.tail = np.zeros((0, len(layout.windows_ms)), np.int64)  # first bucket within each window
        self.sum_good = np.zeros((0, len(layout.windows_ms)), np.int64)
        self.sum_total = np.zeros((0, len(layout.windows_ms)), np.int64)
        self.measured = np.zeros((0, len(layout.windows_ms)), np.int64)
        ring_of = np.array(layout.ring_of, np.int64)
        self._widths = np.array(layout.widths_ms, np.int64)
        self._window_widths = self._widths[ring_of]
        self._lengths = np.array(layout.windows_ms, np.int64)
        self._windows = [np.flatnonzero(ring_of == ring) for ring in range(len(layout.slots))]

    def add_group(self) -> int:
        """A new, empty group; answers its row."""
        if self.rows == len(self.head):
            self._grow(max(8, self.rows + self.rows // 2))
        self.clear(self.rows)
        self.rows += 1
        return self.rows - 1

    def _grow(self, rows: int) -> None:
        def grown(array: Ints) -> Ints:
            larger = np.zeros((rows, array.shape[1]), np.int64)
            larger[: len(array)] = array
            return larger

        self.good, self.total = [grown(ring) for ring in self.good], [grown(ring) for ring in self.total]
        self.head, self.tail = grown(self.head), grown(self.tail)
        self.sum_good, self.sum_total, self.measured = map(grown, (self.sum_good, self.sum_total, self.measured))

    def clear(self, row: int) -> None:
        """Empty one row, for a new group."""
        for ring in (*self.good, *self.total, self.sum_good, self.sum_total, self.measured):
            ring[row] = 0
        self.head[row] = self.tail[row] = NEVER

    def advance(self, rows: Ints, time_ms: Ints) -> None:
        """Move groups on to event times (one each; rows are distinct). Time of a group never goes back."""
        head = np.maximum(time_ms[:, None] // self._widths, self.head[rows])
        tail = np.maximum((time_ms[:, None] - self._lengths) // self._window_widths, self.tail[rows])
        late = (tail != self.tail[rows]).any(axis=0)
        ahead = head - self.head[rows]
        for ring, windows in enumerate(self._windows):
            if not (ahead[:, ring].any() or late[windows].any()):
                continue
            far = ahead[:, ring] > _STEPS_MAX
            if far.any():
                self._jump(ring, rows[far], head[far, ring], tail[far])
            if not far.all():
                self._walk(ring, rows[~far], head[~far, ring], tail[~far])

    def _walk(self, ring: int, rows: Ints, head: Ints, tails: Ints) -> None:
        slots, good, total = self.layout.slots[ring], self.good[ring], self.total[ring]
        for at in self._windows[ring]:
            tail = tails[:, at]
            behind = self.tail[rows, at] < tail
            while behind.any():
                moved = rows[behind]
                slot = self.tail[moved, at] % slots
                left = total[moved, slot]
                self.sum_good[moved, at] -= good[moved, slot]
                self.sum_total[moved, at] -= left
                self.measured[moved, at] -= left != 0
                self.tail[moved, at] += 1
                behind = self.tail[rows, at] < tail
        behind = self.head[rows, ring] < head
        while behind.any():
            moved = rows[behind]
            self.head[moved, ring] += 1
            slot = self.head[moved, ring] % slots
            good[moved, slot] = 0
            total[moved, slot] = 0
            behind = self.head[rows, ring] < head

    def _jump(self, ring: int, rows: Ints, head: Ints, tails: Ints) -> None:
        slots = self.layout.slots[ring]
        bucket = head[:, None] - (head[:, None] - np.arange(slots)) % slots  # bucket that each slot stands for
        stale = bucket > self.head[rows, ring][:, None]
        good = np.where(stale, 0, self.good[ring][rows])
        total = np.where(stale, 0, self.total[ring][rows])
        self.good[ring][rows], self.total[ring][rows] = good, total
        self.head[rows, ring] = head
        for at in self._windows[ring]:
            inside = bucket >= tails[:, at][:, None]
            self.tail[rows, at] = tails[:, at]
            self.sum_good[rows, at] = np.where(inside, good, 0).sum(1)
            self.sum_total[rows, at] = np.where(inside, total, 0).sum(1)
            self.measured[rows, at] = (inside & (total != 0)).sum(1)

    def add(self, rows: Ints, pane_ms: Ints, good: Ints, total: Ints) -> int:
        """Add deltas (rows may repeat; panes at or before each group's time). Answers how many were too old for all rings."""
        too_old = 0
        for turn in turns(rows):
            kept = np.zeros(len(turn), np.bool_)
            for ring in range(len(self.layout.slots)):
                kept |= self._put(ring, rows[turn], pane_ms[turn], good[turn], total[turn])
            too_old += int(len(turn) - kept.sum())
        return too_old

    def _put(self, ring: int, rows: Ints, pane_ms: Ints, good: Ints, total: Ints) -> NDArray[np.bool_]:
        """Add to one ring, at most one delta a row. Answers which were not too old for it."""
        bucket, head = pane_ms // self.layout.widths_ms[ring], self.head[rows, ring]
        kept: NDArray[np.bool_] = (bucket > head - self.layout.slots[ring]) & (bucket <= head)
        if not kept.all():
            rows, bucket, good, total = rows[kept], bucket[kept], good[kept], total[kept]
        slot = bucket % self.layout.slots[ring]
        before = self.total[ring][rows, slot]
        self.good[ring][rows, slot] += good
        self.total[ring][rows, slot] = before + total
        appeared = (before + total != 0).astype(np.int64) - (before != 0)
        cell = rows[:, None], self._windows[ring]
        inside = bucket[:, None] >= self.tail[cell]
        self.sum_good[cell] += inside * good[:, None]
        self.sum_total[cell] += inside * total[:, None]
        self.measured[cell] += inside * appeared[:, None]
        return kept

    def sums(self, rows: Ints) -> Sums:
        """The window sums of these groups, shape (groups, windows)."""
        return Sums(self.sum_good[rows], self.sum_total[rows], self.measured[rows])

    def shares(self, rows: Ints, time_ms: Ints) -> Shares:
        """What lies in [t - W, t) of each group's time t, by group and window. The times are those of `advance`."""
        good, total = self.sum_good[rows].astype(np.float64), self.sum_total[rows].astype(np.float64)
        tail = self.tail[rows]
        outside = np.clip(
            (time_ms[:, None] - self._lengths - tail * self._window_widths) / self._window_widths, 0.0, 1.0
        )
        for ring, windows in enumerate(self._windows):
            slot = tail[:, windows] % self.layout.slots[ring]
            good[:, windows] -= outside[:, windows] * self.good[ring][rows[:, None], slot]
            total[:, windows] -= outside[:, windows] * self.total[ring][rows[:, None], slot]
        return Shares(good / limits.FIXED_ONE, total / limits.FIXED_ONE, self.measured[rows])

    def shares_at(self, rows: Ints, at_ms: Ints) -> Shares:
        """As `shares`, of an earlier moment: the start of a pane, at most HOLD_MS before the group's time.

        A coarse bucket that reaches beyond the moment counts whole: at most 1.4 % of its window.
        """
        shape = (len(rows), len(self.layout.windows_ms))
        good, total, measured = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
        for ring, windows in enumerate(self._windows):
            width, slots, head = self.layout.widths_ms[ring], self.layout.slots[ring], self.head[rows, ring][:, None]
            bucket = head - (head - np.arange(slots)) % slots
            good_in, total_in = self.good[ring][rows], self.total[ring][rows]
            for at in windows:
                start_ms = (at_ms - self._lengths[at])[:, None]
                part = np.clip((bucket + 1) * width - start_ms, 0, width) / width * (bucket * width < at_ms[:, None])
                good[:, at], total[:, at] = (part * good_in).sum(1), (part * total_in).sum(1)
                measured[:, at] = ((part > 0) & (total_in != 0)).sum(1)
        return Shares(good / limits.FIXED_ONE, total / limits.FIXED_ONE, measured)

    def recomputed(self, row: int) -> Sums:
        """The window sums of one group, added up from its buckets. For tests and `tocsin explain`."""
        shape = (1, len(self.layout.windows_ms))
        found = Sums(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64))
        for at, ring in enumerate(self.layout.ring_of):
            for _, good, total in self.buckets(row, ring, int(self.tail[row, at])):
                found.good[0, at] += good
                found.total[0, at] += total
                found.measured[0, at] += total != 0
        return found

    def buckets(self, row: int, ring: int, first: int) -> Iterable[tuple[int, int, int]]:
        """(start in ms, good, total) of one ring's buckets, oldest first, from bucket number `first` on."""
        slots, head = self.layout.slots[ring], int(self.head[row, ring])
        for bucket in range(max(first, head - slots + 1), head + 1):
            slot = bucket % slots
            start_ms = bucket * self.layout.widths_ms[ring]
            yield start_ms, int(self.good[ring][row, slot]), int(self.total[ring][row, slot])

    def _live(self) -> dict[str, Ints]:
        found = {f"good{ring}": array for ring, array in enumerate(self.good)}
        found |= {f"total{ring}": array for ring, array in enumerate(self.total)}
        found |= {"head": self.head, "tail": self.tail, "measured": self.measured}
        return found | {"sum_good": self.sum_good, "sum_total": self.sum_total}

    def arrays(self) -> dict[str, Ints]:
        """All state by name, one row a group, for a snapshot."""
        return {name: array[: self.rows] for name, array in self._live().items()}

    def take_over(self, row: int, arrays: Mapping[str, Ints], old: int) -> None:
        """Give a row the values of row `old` of such `arrays`, whose rings may have other sizes.

        Raises KeyError or ValueError when they do not fit.
        """
        for name in ("head", "tail", "measured", "sum_good", "sum_total"):
            getattr(self, name)[row] = arrays[name][old]
        for ring, slots in enumerate(self.layout.slots):
            head = int(self.head[row, ring])
            for name, ours in (("good", self.good), ("total", self.total)):
                theirs = arrays[f"{name}{ring}"][old]
                bucket = np.arange(head - min(slots, len(theirs)) + 1, head + 1)
                ours[ring][row, bucket % slots] = theirs[bucket % len(theirs)]


def turns(rows: Ints) -> list[Ints]:
    """Places in `rows`, split so that no row comes twice in a turn; in each row's own order."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.ones(len(rows), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    if first.all():
        return [order] if len(order) else []
    starts = np.flatnonzero(first)
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    return [order[rank == turn] for turn in range(int(rank.max()) + 1)]


def buckets_in(layout: Layout, window: int) -> int:
    """How many buckets a window is made of, rounded up."""
    return -(-layout.windows_ms[window] // layout.widths_ms[layout.ring_of[window]])


assert WIDTHS_MS[0] == limits.PANE_MS, "the finest ring is one pane a bucket"
