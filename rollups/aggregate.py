"""The aggregate of one source partition: measurements in, cumulative cells out, all of it a function of the log.

What: `apply` counts a chunk of decoded records, `tick` moves time, `drain` gives the partial batches that are due,
`snapshot`/`restore` are in `aggregate_state`. A row says what is true of its cell AS OF a source offset, so the row
with the highest offset is the truth whoever sent it, and a replay, a zombie or another checkpoint changes nothing.
Why panes close early under pressure (MAX_OPEN_PANES): a replay of hours must not hold hours of dense columns; a pane
may close whenever its watermark has passed, drained or not. It refuses clocks: `tick` is told the time.

    resolve -> index          new series, limit, overflow
    apply   -> by pane        fence, dedupe, future, too late (intake) | open pane, or late row for a closed one
    drain   -> PartialBatch   closed panes, provisional rows of slow kinds, changed SLO groups, late rows, heartbeat
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from rollups import emission
from rollups.buckets import Bases
from rollups.claims import SLO, Claims, oldest
from rollups.emission import Addressed
from rollups.feeds import SloCells
from rollups.intake import DUPLICATE, FUTURE, TOO_LATE, Chunk, Intake, LateRow, by_pane
from rollups.limits import (
    HEARTBEAT_MS,
    LOCAL_SLOTS,
    MAX_OPEN_PANES,
    NEVER,
    PANE_MS,
    PROVISIONAL_EVERY_MS,
    SLOW_LATENESS_MS,
    SOURCE_KINDS,
    Lateness,
    Limits,
)
from rollups.pane import Exemplars, Pane, PaneRows
from rollups.series import SLOT_MASK, FeedsOf, SeriesRegistry
from schemas.cells import Cells
from schemas.measurements import Measurements
from schemas.records import PartialBatch, SeriesDefinition


@dataclasses.dataclass(frozen=True, slots=True)
class Drained:
    """What leaves: batches by target partition, refused records, rows dropped since the last drain by reason."""

    partials: dict[int, PartialBatch]
    late: list[LateRow]
    dropped: Counter[str]


@dataclasses.dataclass(slots=True)
class Tally:
    """Rows by what became of them, since the state began. accepted = the sum of the five others, always."""

    accepted: int = 0
    aggregated: int = 0
    late: int = 0
    deduped: int = 0
    too_late: int = 0
    future: int = 0

    @property
    def unaccounted(self) -> int:
        """Rows that vanished: anything but 0 is a defect."""
        return self.accepted - self.aggregated - self.late - self.deduped - self.too_late - self.future


class Aggregate:
    """State of one source partition. Not safe to share between threads."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        feeds: FeedsOf,
        limits: Limits | None = None,
        lateness: Lateness | None = None,
        *,
        fingerprint: bool = False,
        feeds_version: str = "",
        epoch: int = 0,
    ) -> None:
        """`partitions` is the number of targets; `feeds_version` names the SLO configuration behind `feeds`."""
        self.partition, self.partitions, self.epoch = partition, partitions, epoch
        self.limits, self.lateness = limits or Limits(), lateness or Lateness()
        self.fingerprint, self.feeds_version = fingerprint, feeds_version
        self.fence = -1
        self.registry = SeriesRegistry(feeds, self.limits, partitions)
        self.intake = Intake(self.limits, self.lateness)
        self.panes: dict[tuple[int, int], Pane] = {}  # by (kind, start)
        self.closed = [NEVER] * SOURCE_KINDS  # panes that start before are closed
        self.bases: list[Bases | None] = [None] * SOURCE_KINDS  # histogram windows for the next pane of the kind
        self.slo = SloCells()
        self.claims = Claims(partitions)
        self.outbox: list[Cells] = []  # rows that wait for the next drain; `series` holds registry indexes
        self.heard_ms = [NEVER] * partitions  # tick time of the last batch to each target
        self.aggregated = self.late = self.evicted = 0
        self.overflowed = 0  # rows counted under an overflow series; also in aggregated or late
        self.dropped: Counter[str] = Counter()

    def resolve(self, definition: SeriesDefinition) -> int:
        """Registry index of the series, stable until `compact` evicts."""
        return self.registry.add(definition)

    def apply(self, measurements: Measurements, through_offset: int) -> None:
        """Count the rows above the fence, then move the fence to `through_offset`. Rows are in log order."""
        if through_offset <= self.fence:
            self.intake.skipped += len(measurements.series)
            return
        chunk = self.intake.take(measurements, self.fence, self.fingerprint)
        self.registry.append_ms = max(self.registry.append_ms, self.intake.append_ms)
        if len(chunk):
            if len(self.panes) > MAX_OPEN_PANES:
                self._close_due()
            for kind, start_ms, rows in by_pane(chunk):
                self._count(chunk, kind, start_ms, rows)
        self.fence = through_offset

    def _count(self, chunk: Chunk, kind: int, start_ms: int, rows: NDArray[np.int64] | None) -> None:
        """Rows (None: all) of one pane, open or closed."""
        series = self.registry.kinds[kind]
        index = chunk.index if rows is None else chunk.index[rows]
        slot = index & SLOT_MASK
        if series.size > LOCAL_SLOTS:
            # neighbours in memory one after the other: a radix pass costs 4 ns a row, cache misses cost 30
            near = np.argsort((slot >> (series.size.bit_length() - 8)).astype(np.uint8), kind="stable")
            slot, rows = slot[near], near if rows is None else rows[near]
        pane_rows = PaneRows(
            slot=slot,
            value=chunk.value if rows is None else chunk.value[rows],
            outcome=chunk.outcome if rows is None else chunk.outcome[rows],
            event_id=chunk.event_id if rows is None or not len(chunk.event_id) else chunk.event_id[rows],
        )
        if series.most_feeds:
            first, count = series.first[slot], series.count[slot]
            self.slo.add(self.registry.feeds, start_ms, first, count, pane_rows)
            if len(chunk.exemplar_row):
                traced = _exemplars(chunk, rows)
                self.slo.trace(
                    self.registry.feeds, start_ms, series.first[traced.slot], series.count[traced.slot], traced
                )
        if series.has_overflow:
            self.overflowed += int(np.count_nonzero(series.overflow[slot]))
        if start_ms < self.closed[kind]:
            mine = chunk if rows is None else chunk.where(_mask(len(chunk), rows))
            self.outbox.append(emission.late_cells(mine, series, self.limits.histogram_scale, self.fingerprint))
            self.claims.add((kind, start_ms), series.id[slot], np.ones(len(slot), np.int64))
            self.late += len(slot)
            return
        pane = self.panes.get((kind, start_ms))
        if pane is None:
            pane = self.panes[kind, start_ms] = self.open_pane(kind, start_ms)
        pane.reserve(series.size, series.has_outcomes)
        pane.add(pane_rows, series.histogram_rows(slot), series.outcome_rows(slot))
        if len(chunk.exemplar_row):
            pane.add_exemplars(_exemplars(chunk, rows))
        self.aggregated += len(slot)

    def open_pane(self, kind: int, start_ms: int) -> Pane:
        """An empty pane."""
        slow = self.lateness.lateness_ms[kind] > SLOW_LATENESS_MS
        return Pane(start_ms, self.limits.histogram_scale, self.fingerprint, slow, self.bases[kind])

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """The time is `now_ms`; `caught_up` when every record that the broker had has been applied.

        A clock that says less than the one before goes on from there: what is due, is due after the same time.
        """
        marks = self.intake.watermarks
        if NEVER < now_ms < marks.now_ms:
            by_ms = now_ms - marks.now_ms
            marks.shift(by_ms)
            self.heard_ms = [at if at == NEVER else at + by_ms for at in self.heard_ms]
            for pane in self.panes.values():
                pane.provisional_ms += by_ms if pane.provisional_ms != NEVER else 0
        marks.tick(now_ms, caught_up)

    def drain(self) -> Drained:
        """All that is due. Call it after `tick`; deliver it before a snapshot taken after it is written."""
        self._close_due()
        self._provisional()
        ready = [emission.addressed(cells, self.registry.kinds, self.partitions) for cells in self.outbox]
        ready += self._slo_rows()
        self.outbox = []
        dropped, late = self.intake.dropped, self.intake.late
        self.dropped.update(dropped)
        self.intake.dropped, self.intake.late = Counter(), []
        self.slo.drop_before(max(self.intake.watermarks.max_event_ms) - max(self.lateness.horizon_ms))
        return Drained(self._batches(ready), late, dropped)

    def _close_due(self) -> None:
        """Panes whose end + grace the watermark has passed move to the outbox, for good."""
        for kind in range(SOURCE_KINDS):
            self.closed[kind] = max(self.closed[kind], self.intake.watermarks.closed_before(kind))
        for kind, start_ms in sorted(key for key in self.panes if key[1] < self.closed[key[0]]):
            pane = self.panes.pop((kind, start_ms))
            self.bases[kind] = pane.buckets.handed_on()
            slots = np.flatnonzero(pane.count)
            self.registry.kinds[kind].active_ms[slots] = self.registry.append_ms
            self.claims.set((kind, start_ms), self.registry.kinds[kind].id[slots], pane.count[slots])
            self.outbox.append(emission.pane_cells(pane, kind, slots, self.fence))

    def _provisional(self) -> None:
        """Changed rows of slow kinds, once event time has passed the pane and then each PROVISIONAL_EVERY_MS."""
        marks = self.intake.watermarks
        now_ms = marks.now_ms
        # event time, and the idle time after it: the last pane before a silence is shown too
        reached = [mark + bound for mark, bound in zip(marks.current(), self.lateness.lateness_ms, strict=True)]
        for (kind, start_ms), pane in sorted(self.panes.items()):
            due = now_ms - pane.provisional_ms >= PROVISIONAL_EVERY_MS and reached[kind] >= start_ms + PANE_MS
            if not pane.has_touched or not due:
                continue
            slots = np.flatnonzero(pane.touched)
            if len(slots):
                pane.touched[slots] = False
                pane.provisional_ms = now_ms
                self.outbox.append(emission.pane_cells(pane, kind, slots, self.fence))

    def _slo_rows(self) -> list[Addressed]:
        """Groups touched since the last drain."""
        table, out = self.registry.feeds, []
        for start_ms, pane in sorted(self.slo.panes.items()):
            if pane.changed:
                groups = pane.used()
                self.claims.set((SLO, start_ms), table.group_id[groups], pane.total[groups])
                out.append(emission.slo_cells(pane, start_ms, pane.drain(), table, self.fence, self.partitions))
        return out

    def _batches(self, ready: list[Addressed]) -> dict[int, PartialBatch]:
        """One batch for each target that has rows, or has heard nothing for HEARTBEAT_MS."""
        marks = self.intake.watermarks
        self.claims.drop_before(oldest(max(marks.max_event_ms), max(self.lateness.horizon_ms)))
        claimed = self.claims.due(marks.now_ms)
        out = {}
        for target in range(self.partitions):
            blocks = [block.for_target(target) for block in ready if block.bounds[target] < block.bounds[target + 1]]
            if not blocks and marks.now_ms - self.heard_ms[target] < HEARTBEAT_MS:
                continue
            self.heard_ms[target] = marks.now_ms
            out[target] = PartialBatch(
                partition=self.partition,
                as_of=self.fence,
                epoch=self.epoch,
                now_ms=marks.now_ms,
                watermarks=marks.current(),
                max_event_ms=tuple(marks.max_event_ms),
                cells=Cells.concatenate(blocks),
                claims=self.claims.of(target, claimed),
            )
        return out

    def compact(self) -> int:
        """Evict series idle for `idle_series_ms` of broker time; how many. Indexes change when it is not 0.

        Call it right after `drain`, and forget every resolved index (the decoder's cache) when it is not 0. Rows of an
        outbox hold indexes, so nothing is evicted while one waits.
        """
        if self.outbox:
            return 0
        oldest = self.registry.append_ms - self.limits.idle_series_ms
        gone = 0
        for kind, series in enumerate(self.registry.kinds):
            kept = series.active_ms[: series.size] >= oldest
            mine = [pane for (of_kind, _), pane in self.panes.items() if of_kind == kind]
            for pane in mine:
                kept[np.flatnonzero(pane.count)] = True
            if kept.all():
                continue
            self.bases[kind] = None
            slots = np.flatnonzero(kept)
            gone += series.size - len(slots)
            series.keep(slots)
            for pane in mine:
                pane.renumber(slots)
        if gone:
            self.registry.reindex()
            self.evicted += gone
        return gone

    @property
    def tally(self) -> Tally:
        """Where every row above the fence went."""
        dropped = self.dropped + self.intake.dropped
        return Tally(
            accepted=self.intake.accepted,
            aggregated=self.aggregated,
            late=self.late,
            deduped=dropped[DUPLICATE],
            too_late=dropped[TOO_LATE],
            future=dropped[FUTURE],
        )


def _mask(size: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[rows] = True
    return mask


def _exemplars(chunk: Chunk, rows: NDArray[np.int64] | None) -> Exemplars:
    """Exemplar candidates among the rows (None: all)."""
    row, trace = chunk.exemplar_row, chunk.exemplar_trace
    if rows is not None:
        mine = _mask(len(chunk), rows)[row]
        row, trace = row[mine], trace[mine]
    bad = (chunk.outcome[row] == 0).view(np.uint8)
    return Exemplars(chunk.index[row] & SLOT_MASK, bad, chunk.value[row], trace, chunk.time_ms[row])
