"""Ledger: the truth about what was sent, per series and ten seconds.

What: wraps the client's transport, reads each record that goes out, and books it once it is acknowledged: count,
integer sum, lowest, highest, a fingerprint of the set of measurements, good of all outcomes, and the histogram. Why: equal count, sum and fingerprint prove
that the same measurements were aggregated, each once; a loss and a repeat cannot cancel out. It refuses values that
are not integers, since only their sums compare exactly.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from tocsin import OnResult, Rejected, Transport

from demo import sketch
from demo.wire import Batch, Identity, read_batch

WINDOW_MS = 10_000
GOOD, NONE = 1, 2  # outcomes, as a record has them; 0 is bad
WHOLE_BOUND = 2.0**53  # beyond it not every integer is a double


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one series in one window. `fingerprint`: sum of the measurements' ids mod 2**64; `outcomes`: those
    that were good or bad."""

    count: int
    total: int
    low: float
    high: float
    fingerprint: int
    good: float = 0
    outcomes: float = 0
    buckets: sketch.Buckets = ()

    def __add__(self, other: Cell) -> Cell:
        return Cell(
            self.count + other.count,
            self.total + other.total,
            min(self.low, other.low),
            max(self.high, other.high),
            (self.fingerprint + other.fingerprint) % 2**64,
            self.good + other.good,
            self.outcomes + other.outcomes,
            sketch.both(self.buckets, other.buckets),
        )


#: (series, start of the window in ms) -> what happened in it
Cells = dict[tuple[Identity, int], Cell]


class NotAnInteger(ValueError):
    """The ledger compares sums exactly and takes integers only"""


def add(cells: Cells, key: tuple[Identity, int], cell: Cell) -> None:
    """Add to what the cells hold under the key."""
    before = cells.get(key)
    cells[key] = cell if before is None else before + cell


def cells_of(batch: Batch) -> Iterator[tuple[tuple[Identity, int], Cell]]:
    """The batch's measurements by series and window. Raises NotAnInteger."""
    if len(batch.series) == 0:
        return
    if not (np.all(np.abs(batch.value) <= WHOLE_BOUND) and np.array_equal(batch.value, np.rint(batch.value))):
        raise NotAnInteger(NotAnInteger.__doc__)
    window = batch.time_ms // WINDOW_MS
    order = np.lexsort((window, batch.series))
    series, window = batch.series[order], window[order]
    value, ids = batch.value[order], batch.event_id[order]
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(series) != 0) | (np.diff(window) != 0))))
    counts = np.diff(np.append(starts, len(series)))
    whole = value.astype(np.int64)
    lows, highs = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    judged = np.array([identity[1] == "outcome" for identity in batch.identities])[series] & (
        batch.outcome[order] != NONE
    )
    goods = judged & (batch.outcome[order] == GOOD)
    sums = [
        np.add.reduceat(column, starts).tolist()
        for column in (whole, ids, goods.astype(np.int64), judged.astype(np.int64))
    ]
    for place, (start, total, prints, good, outcomes) in enumerate(zip(starts.tolist(), *sums, strict=True)):
        identity, count = batch.identities[int(series[start])], int(counts[place])
        buckets = histogram(whole[start : start + count]) if identity[1] in sketch.KINDS else ()
        cell = Cell(count, total, float(lows[place]), float(highs[place]), prints, good, outcomes, buckets)
        yield (identity, int(window[start]) * WINDOW_MS), cell


def histogram(values: NDArray[np.int64]) -> sketch.Buckets:
    """How many of them lie in each bucket."""
    found, counts = np.unique(sketch.codes(values), return_counts=True)
    return tuple(zip(found.tolist(), counts.tolist(), strict=True))


class Ledger:
    """Books of one run. Thread-safe. `outcomes`: whether each one is kept, for whoever expects pages of them; without them
    a run of any length takes the room of its cells."""

    def __init__(self, outcomes: bool = True) -> None:
        self._keeps_outcomes = outcomes
        self.truth: Cells = {}
        self.published: Counter[str] = Counter()  # acknowledged measurements by kind of source
        self.rejected = 0
        self.retried = 0
        self._open: dict[tuple[str, str, int], Batch] = {}  # sent, fate unknown
        self._done: set[tuple[str, str, int]] = set()
        self._outcomes: dict[Identity, list[tuple[NDArray[np.int64], NDArray[np.bool_]]]] = {}
        self._lock = Lock()

    def intend(self, value: bytes) -> tuple[str, str, int]:
        """Note what is about to be sent; a record that is sent again is the same intention."""
        batch = read_batch(value)
        key = (batch.source, batch.boot, batch.sequence)
        with self._lock:
            if key in self._open or key in self._done:
                self.retried += 1
            if key not in self._done:
                self._open[key] = batch
        return key

    def settle(self, key: tuple[str, str, int], error: Exception | None) -> None:
        """The fate of a record: booked when acknowledged, struck when rejected for good, else still open."""
        with self._lock:
            batch = self._open.get(key)
            if batch is None or (error is not None and not isinstance(error, Rejected)):
                return
            del self._open[key]
            if error is not None:
                self.rejected += len(batch.series)
                return
            self._done.add(key)
            self._book(batch)

    def _book(self, batch: Batch) -> None:
        for key, cell in cells_of(batch):
            add(self.truth, key, cell)
        self.published[batch.source_kind] += len(batch.series)
        for place, identity in enumerate(batch.identities):
            if self._keeps_outcomes and identity[1] == "outcome":
                rows = np.flatnonzero(batch.series == place)
                if len(rows):
                    self._outcomes.setdefault(identity, []).append((batch.time_ms[rows], batch.outcome[rows] == GOOD))

    @property
    def unknown(self) -> int:
        """Measurements whose fate is not known."""
        with self._lock:
            return sum(len(batch.series) for batch in self._open.values())

    def outcomes(self) -> dict[Identity, tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Per outcome series its acknowledged events, ordered by time: event times in ms, and whether good."""
        with self._lock:
            joined = {
                identity: (np.concatenate([t for t, _ in parts]), np.concatenate([good for _, good in parts]))
                for identity, parts in self._outcomes.items()
            }
        ordered = {}
        for identity, (times, good) in joined.items():
            order = np.argsort(times, kind="stable")
            ordered[identity] = (times[order], good[order])
        return ordered

    def snapshot(self) -> Cells:
        """A copy of the truth so far."""
        with self._lock:
            return dict(self.truth)


class LedgerTransport:
    """A transport that books everything which passes through it to the real one."""

    def __init__(self, inner: Transport, ledger: Ledger) -> None:
        self.inner = inner
        self.ledger = ledger

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """Note the intention, pass the record on, and book its fate."""
        intention = self.ledger.intend(value)

        def settled(error: Exception | None) -> None:
            self.ledger.settle(intention, error)
            on_result(error)

        try:
            self.inner.send(key, value, settled)
        except Rejected as error:
            self.ledger.settle(intention, error)
            raise

    def flush(self, timeout: float) -> int:
        """As the real transport."""
        return self.inner.flush(timeout)
