"""What becomes of each measurement before it reaches a pane: seen before, from the future, too late, or taken.

What: `Intake.take` drops what the fence has seen and what `Dedupe` has seen, moves event times where the source's clock was
wrong (`skew`), and drops what then lies more than `future_ms` ahead of its broker time, or behind the late horizon of its
kind. Why in one place: each answer is a function of the
log before the row (running maxima, row by row, never a chunk's maximum), so a replay cut into other chunks gives the
same answers. It refuses silence: every row is counted under exactly one word.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rollups.dedupe import Dedupe
from rollups.limits import NEVER, PANE_MS, SOURCE_KINDS, Lateness, Limits
from rollups.series import KIND_SHIFT
from rollups.skew import AHEAD, BEHIND, UNCLEAR, row_shifts, shifts
from rollups.watermark import Watermarks
from schemas.measurements import Measurements

DUPLICATE, FUTURE, TOO_LATE = REASONS = ("duplicate", "future", "too_late")


@dataclasses.dataclass(frozen=True, slots=True)
class LateRow:
    """Rows of one record that were refused, so that the shell can keep the original: where, why, how many, how old."""

    offset: int
    reason: str  # too_late | future
    rows: int
    event_ms: int  # earliest event time among them
    skew_ms: int = 0  # what was added to the record's event times since its source's clock was wrong


@dataclasses.dataclass(slots=True)
class Chunk:
    """Measurements in log order, shapes (n,); exemplars (k,) point at rows, rows at records (r,)."""

    index: NDArray[np.int64]  # of the series, see rollups.series
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    record: NDArray[np.int64]
    event_id: NDArray[np.uint64]  # (0,) unless fingerprints are switched on
    exemplar_row: NDArray[np.int64]
    exemplar_trace: NDArray[np.void]
    record_offset: NDArray[np.int64]
    record_append_ms: NDArray[np.int64]
    skew_ms: NDArray[np.int64] | None = None  # what was added to each row's event time; None: nothing to any

    def __len__(self) -> int:
        return len(self.index)

    def offset(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Source offset of the rows that `rows` marks (None: all)."""
        return self.record_offset[self.record if rows is None else self.record[rows]]

    def where(self, keep: NDArray[np.bool_]) -> Chunk:
        """The rows that `keep` marks."""
        place = np.cumsum(keep) - 1
        linked = keep[self.exemplar_row]
        return Chunk(
            index=self.index[keep],
            time_ms=self.time_ms[keep],
            value=self.value[keep],
            outcome=self.outcome[keep],
            record=self.record[keep],
            event_id=self.event_id[keep] if len(self.event_id) else self.event_id,
            exemplar_row=place[self.exemplar_row[linked]],
            exemplar_trace=self.exemplar_trace[linked],
            record_offset=self.record_offset,
            record_append_ms=self.record_append_ms,
            skew_ms=None if self.skew_ms is None else self.skew_ms[keep],
        )


def chunk_of(measurements: Measurements, fingerprint: bool) -> Chunk:
    """The same rows; -0.0 becomes 0.0, because which of the two is the lower would depend on the order."""
    return Chunk(
        index=measurements.series,
        time_ms=measurements.time_ms,
        value=measurements.value + 0.0,
        outcome=measurements.outcome,
        record=measurements.row_record,
        event_id=measurements.event_id() if fingerprint else np.zeros(0, np.uint64),
        exemplar_row=measurements.exemplar_row,
        exemplar_trace=measurements.exemplar_trace,
        record_offset=measurements.record_offset,
        record_append_ms=measurements.record_append_ms,
    )


class Intake:
    """Dedupe, event time and the words for what was refused, of one source partition."""

    def __init__(self, limits: Limits, lateness: Lateness) -> None:
        self.lateness = lateness
        self.dedupe = Dedupe(limits)
        self.watermarks = Watermarks(lateness)
        self.late: list[LateRow] = []
        self.dropped: Counter[str] = Counter()
        self.skewed: Counter[str] = Counter()  # rows by how their source's clock was wrong, since the state began
        self.skipped = 0  # rows at or below the fence
        self.accepted = 0  # all rows above it
        self.append_ms = NEVER

    def take(self, measurements: Measurements, fence: int, fingerprint: bool) -> Chunk:
        """Rows that belong to a pane, open or closed."""
        chunk = chunk_of(measurements, fingerprint)
        after = measurements.record_offset > fence
        new = np.zeros(len(after), np.bool_)
        new[after] = self.dedupe.admit(
            measurements.record_producer[after],
            measurements.record_sequence[after],
            measurements.record_append_ms[after],
            measurements.record_offset[after],
        )
        if len(after):
            self.append_ms = max(self.append_ms, int(measurements.record_append_ms.max()))
        above = int(measurements.record_rows[after].sum())
        fresh = int(measurements.record_rows[new].sum())
        self.skipped += len(chunk) - above
        self.accepted += above
        if fresh < above:
            self.dropped[DUPLICATE] += above - fresh
        if fresh < len(chunk):
            chunk = chunk.where(new[chunk.record])
        if not len(chunk):
            return chunk
        self._straighten(chunk, measurements)
        return self._within_time(chunk)

    def _straighten(self, chunk: Chunk, measurements: Measurements) -> None:
        """Move the event times of sources whose clock was wrong."""
        stamped = measurements.stamped
        found = shifts(measurements.stamps, measurements.record_append_ms[stamped], self.lateness)
        if found is None:
            return
        chunk.skew_ms, unclear = row_shifts(found, stamped, chunk.record, chunk.time_ms)
        chunk.time_ms = chunk.time_ms + chunk.skew_ms
        for word, rows in ((AHEAD, chunk.skew_ms < 0), (BEHIND, chunk.skew_ms > 0), (UNCLEAR, unclear)):
            self.skewed[word] += int(np.count_nonzero(rows))

    def _within_time(self, chunk: Chunk) -> Chunk:
        """Refuse what is from the future or too late, row by row."""
        if int(chunk.time_ms.max()) - int(chunk.record_append_ms.min()) > self.lateness.future_ms:
            ahead = chunk.time_ms - chunk.record_append_ms[chunk.record] > self.lateness.future_ms
            if ahead.any():
                self._refuse(chunk, ahead, FUTURE)
                chunk = chunk.where(~ahead)
        late = self._too_late(chunk) if len(chunk) else None
        if late is None:
            return chunk
        self._refuse(chunk, late, TOO_LATE)
        return chunk.where(~late)

    def _too_late(self, chunk: Chunk) -> NDArray[np.bool_] | None:
        """Rows behind the horizon of their kind, or behind the longest horizon of all kinds; None when there are none.

        The second rule lets SLO cells, which all kinds share, be dropped at one time.
        """
        marks = self.watermarks.max_event_ms
        furthest = max(marks)
        longest = max(self.lateness.horizon_ms)
        low, high = int(chunk.index.min()) >> KIND_SHIFT, int(chunk.index.max()) >> KIND_SHIFT
        kinds = np.array([low]) if low == high else chunk.index >> KIND_SHIFT
        late: NDArray[np.bool_] | None = None
        for kind in range(SOURCE_KINDS) if low != high else (low,):
            mine = kinds == kind if low != high else slice(None)
            time_ms = chunk.time_ms[mine]
            if not len(time_ms):
                continue
            earliest, latest, before = int(time_ms.min()), int(time_ms.max()), marks[kind]
            if earliest < max(before, latest) - self.lateness.horizon_ms[kind]:
                running = np.maximum.accumulate(np.maximum(time_ms, before))
                late = np.zeros(len(chunk), np.bool_) if late is None else late
                late[mine] |= time_ms < running - self.lateness.horizon_ms[kind]
            self.watermarks.observe(kind, latest)
        furthest_after = max(furthest, int(chunk.time_ms.max()))
        if int(chunk.time_ms.min()) < furthest_after - longest:
            running = np.maximum.accumulate(np.maximum(chunk.time_ms, furthest))
            behind = chunk.time_ms < running - longest
            late = behind if late is None else late | behind
        return late if late is not None and late.any() else None

    def _refuse(self, chunk: Chunk, rows: NDArray[np.bool_], reason: str) -> None:
        """Count the rows and name their records."""
        offset, time_ms = chunk.offset(rows), chunk.time_ms[rows]
        self.dropped[reason] += len(offset)
        first = np.flatnonzero(np.concatenate([[True], offset[1:] != offset[:-1]]))
        counts = np.diff(np.append(first, len(offset)))
        earliest = np.minimum.reduceat(time_ms, first)
        skew_ms = np.zeros(len(first), np.int64) if chunk.skew_ms is None else chunk.skew_ms[rows][first]
        rows_of = zip(offset[first].tolist(), counts.tolist(), earliest.tolist(), skew_ms.tolist(), strict=True)
        self.late += [LateRow(at, reason, count, event_ms, by_ms) for at, count, event_ms, by_ms in rows_of]


def by_pane(chunk: Chunk) -> list[tuple[int, int, NDArray[np.int64] | None]]:
    """(kind, pane start, rows in log order) for each pane that the chunk touches; rows None: all of them."""
    kind, pane = chunk.index >> KIND_SHIFT, chunk.time_ms // PANE_MS
    low, high = int(pane.min()), int(pane.max())
    least, most = int(kind.min()), int(kind.max())
    if low == high and least == most:
        return [(least, low * PANE_MS, None)]
    width = high - low + 1
    code = (kind - least) * width + (pane - low)
    if (most - least + 1) * width <= 1 << 16:
        code = code.astype(np.uint16)
    ordering = np.argsort(code, kind="stable")  # a radix sort for 16 bits
    ordered = code[ordering].astype(np.int64)
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    codes = ordered[first].tolist()
    bounds = pairwise([*first.tolist(), len(ordering)])
    return [
        (least + at // width, (low + at % width) * PANE_MS, ordering[start:stop])
        for at, (start, stop) in zip(codes, bounds, strict=True)
    ]
