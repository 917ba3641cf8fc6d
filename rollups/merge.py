"""The merge of one partition of the partials: rows of all source partitions in, rollups out.

What: `apply` takes one partial: SLO cells at once (their differences are the evaluator's input), series rows into panes;
panes that all source partitions have passed become final and feed the 1 m, 5 m and 1 h windows. `drain` answers what
changed. State, revisions included, is a function of the partials log alone, so a replay with other drains emits the same
truth under the same revisions (decisions 3 and 4). It refuses clocks: time is in the partials.

    apply -> Definitions (ids to numbers) -> MergePane per (kind, pane) -> Coarse windows of the kind
    drain -> rows that are due, named again, one batch a kind and window
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rollups import claims
from rollups.cut import pieces
from rollups.definitions import Definitions
from rollups.latest import NONE, Series
from rollups.limits import NEVER, PANE_MS, SOURCE_KINDS, Lateness
from rollups.merge_limits import SERIES_LEAST, MergeLimits
from rollups.pane_table import MergePane
from rollups.plain import by_pane, picked, plain, selected
from rollups.slo_table import SloDeltas, SloTable
from rollups.sources import Clock, Sources
from rollups.windows import HOUR, Coarse, Window
from schemas.cells import FLAG_CORRECTION, FLAG_FINAL, FLAG_LATE, FLAG_SLO, Cells
from schemas.records import PartialBatch, RollupBatch


@dataclasses.dataclass(frozen=True, slots=True)
class MergeStep:
    """What one partial changed."""

    slo: SloDeltas
    clock: Clock
    as_of: Mapping[int, int]  # source partition -> source offset
    exemplars: Mapping[int, Sequence[str]]  # SLO group id -> trace ids


class Merge:
    """State of one merge partition. `sources` is the number of source partitions. Not safe to share between threads."""

    def __init__(
        self, partition: int, sources: int, lateness: Lateness | None = None, limits: MergeLimits | None = None
    ) -> None:
        self.partition = partition
        self.lateness, self.limits = lateness or Lateness(), limits or MergeLimits()
        self.fence = -1
        self.sources = Sources(sources, self.lateness.lateness_ms)
        self.series = Definitions(self.limits.max_series)
        self.slo = SloTable(self.limits.max_groups)
        self.kinds = [Coarse() for _ in range(SOURCE_KINDS)]
        self.closed_before = [NEVER] * SOURCE_KINDS  # panes that start before are final
        self.horizon = [NEVER] * SOURCE_KINDS  # panes that start before are gone
        self.counters: Counter[str] = Counter()
        self.series_kept = SERIES_LEAST
        self.owing = claims.Owing()
        self.beyond: list[Cells] = []  # rows for panes that are gone, since `take_beyond`

    def take_beyond(self) -> Cells:
        """Rows that came for panes that are gone, named; whoever asks keeps them somewhere. They are then forgotten."""
        rows, self.beyond = self.beyond, []
        return self.series.named(Cells.concatenate(rows)) if rows else Cells.empty()

    def apply(self, batch: PartialBatch, offset: int, stamp_ms: int | None = None) -> MergeStep:
        """Take the partial at `offset`; at or below the fence it changes nothing.

        `stamp_ms` is the broker's, from the record; without one, the writer's clock stands in for it.
        """
        stamp_ms = batch.now_ms if stamp_ms is None else stamp_ms
        cells = batch.cells if offset > self.fence else Cells.empty()
        is_slo = (cells.flags & FLAG_SLO) != 0
        slo_rows = selected(cells, np.flatnonzero(is_slo))
        deltas = self.slo.apply(batch.partition, slo_rows)
        self.owing.excuse(batch.partition, self.slo.refused_ms)
        if not is_slo.all():
            self._series(batch, selected(cells, np.flatnonzero(~is_slo)), max(self.sources.now_ms, stamp_ms))
        if offset > self.fence:
            self.fence = offset
            if batch.as_of >= int(self.sources.as_of[batch.partition]):
                self._judge(batch)
            # after the rows: those of a worker that catches up may lie further back than the horizon that they move
            self.sources.hear(batch, stamp_ms)
            self._move_horizon()
        self._close_passed()
        return MergeStep(deltas, self.sources.clock(), self.sources.heard(), traces(slo_rows))

    def _judge(self, batch: PartialBatch) -> None:
        """What the source partition says lies in its closed panes, against what came of it."""
        for claim in claims.read(batch.claims):
            if claim.kind == claims.SLO:
                if claim.pane_ms >= self.slo.dropped_before_ms:
                    self.owing.judge(batch.partition, claim, self.slo.held.get((claim.pane_ms, batch.partition), 0))
            elif claim.pane_ms >= self.horizon[claim.kind]:
                pane = self.kinds[claim.kind].panes.get(claim.pane_ms)
                share = pane.shares.get(batch.partition) if pane is not None else None
                self.owing.judge(batch.partition, claim, share.held if share is not None else 0)

    def _series(self, batch: PartialBatch, cells: Cells, now_ms: int) -> None:
        """Series rows of the batch into their panes."""
        source = batch.partition
        index = self.series.index_of(source, cells)
        cells = plain(cells, index)
        self.counters["rows"] += len(cells)
        self.counters["late_rows"] += int(np.count_nonzero(cells.flags & FLAG_LATE))
        if int(index.min()) < 0:
            self.counters["refused_series"] += int(np.count_nonzero(index < 0))
            self.owing.excuse(source, cells.pane_ms[index < 0])
            cells = picked(cells, np.flatnonzero(index >= 0))
        for kind, start_ms, block in by_pane(cells, self.series.kinds):
            if start_ms < self.horizon[kind]:
                self.counters["beyond_horizon"] += int(block.count.sum())
                self.beyond.append(block)
                continue
            coarse = self.kinds[kind]
            pane = coarse.panes.get(start_ms)
            if pane is None:
                pane = coarse.panes[start_ms] = MergePane(start_ms, emitted_ms=now_ms)
            before = pane.revision
            gained = pane.apply(source, block)
            self.counters["stale_rows"] += stale_rows(block, pane.changed[-1] if pane.revision > before else NONE)
            if len(gained):
                self.counters["corrections"] += len(gained)
                coarse.feed(start_ms, gained)
        self._bound()

    def _move_horizon(self) -> None:
        """Panes that start before `horizon` are gone: the late horizon and more, so that no late row finds nothing.

        A source partition sends rows down to its newest event time less the horizon, and its watermark is its newest
        event time less the lateness, or later. The lowest watermark is therefore below all that may still come.
        """
        lowest, newest = self.sources.watermarks.min(axis=0).tolist(), self.sources.max_event_ms.max(axis=0).tolist()
        for kind, (passed, latest) in enumerate(zip(lowest, newest, strict=True)):
            if NEVER not in {passed, latest}:
                slack = self.lateness.horizon_ms[kind] + self.lateness.lateness_ms[kind] + 2 * PANE_MS
                self.horizon[kind] = max(self.horizon[kind], min(passed, latest) - slack)
        reached = [passed for passed, latest in zip(lowest, newest, strict=True) if latest != NEVER]
        if reached and NEVER not in reached:
            slack = max(self.lateness.horizon_ms) + max(self.lateness.lateness_ms) + 2 * PANE_MS
            self.slo.drop_before((min(reached) - slack) // PANE_MS * PANE_MS)

    def _close_passed(self) -> None:
        """Panes and windows that all source partitions have passed become final."""
        lowest = self.sources.watermarks.min(axis=0).tolist()
        for kind, watermark in enumerate(lowest):
            coarse, before = self.kinds[kind], self.closed_before[kind]
            if watermark != NEVER:
                self.closed_before[kind] = max(before, (watermark - self.lateness.grace_ms) // PANE_MS * PANE_MS)
            due = [s for s, pane in coarse.panes.items() if not pane.final and s < self.closed_before[kind]]
            if len(coarse.panes) > self.limits.max_panes:
                due += self._forced(kind)
            for start_ms in sorted(due):
                coarse.feed(start_ms, coarse.panes[start_ms].close())
                self.counters["final_panes"] += 1
            if due or self.closed_before[kind] > before:
                self.counters["final_windows"] += coarse.close(self.closed_before[kind])
                coarse.forget(self.horizon[kind])
                self.counters["forgotten_series"] += self._forget_series()

    def _forced(self, kind: int) -> list[int]:
        """The oldest panes beyond the limit, which close early: what comes to them later corrects them."""
        panes = self.kinds[kind].panes
        excess = sorted(panes)[: len(panes) - self.limits.max_panes]
        forced = [start_ms for start_ms in excess if not panes[start_ms].final and start_ms >= self.closed_before[kind]]
        self.counters["forced_final"] += len(forced)
        return forced

    def _forget_series(self) -> int:
        """Definitions that no pane or window can name any more, when they may be half of all."""
        if len(self.series) < 2 * self.series_kept:
            return 0
        gone = self.series.forget([horizon - 2 * HOUR for horizon in self.horizon])
        self.series_kept = max(SERIES_LEAST, len(self.series))
        return gone

    def _bound(self) -> None:
        """Keep the limits on memory: open panes beyond it are compressed, archives beyond it are dropped."""
        everything = [
            (start, pane, kind) for kind, coarse in enumerate(self.kinds) for start, pane in coarse.panes.items()
        ]
        everything.sort(key=lambda place: place[0])
        excess = sum(pane.open_rows() for _, pane, _ in everything) - self.limits.max_open_rows
        for _, pane, _ in everything if excess > 0 else ():
            if excess > 0 and pane.open_rows():
                excess -= pane.open_rows()
                pane.fold()
                self.counters["folded_early"] += 1
        excess = sum(pane.bytes() for _, pane, _ in everything) - self.limits.max_archive_bytes
        for start_ms, pane, kind in everything if excess > 0 else ():
            if excess > 0 and self.kinds[kind].may_forget(start_ms):
                excess -= pane.bytes()
                self.horizon[kind] = max(self.horizon[kind], start_ms + PANE_MS)
                self.counters["dropped_archives"] += 1
        for kind, coarse in enumerate(self.kinds):
            coarse.forget(self.horizon[kind])
            self.counters["dropped_windows"] += coarse.keep_newest(self.limits.max_windows)

    def drain(self) -> list[RollupBatch]:
        """Rows that changed since the last drain, one batch a kind and window. Provisional rows, and corrections, of one
        window leave at most each `emit_every_ms` of log time."""
        return [*self._pane_batches(), *self._coarse_batches()]

    def _pane_batches(self) -> Iterator[RollupBatch]:
        for kind, coarse in enumerate(self.kinds):
            for start_ms, pane in sorted(coarse.panes.items()):
                if pane.whole or (pane.changed and self._rested(pane)):
                    yield from self._batches(kind, PANE_MS, start_ms, pane)

    def _coarse_batches(self) -> Iterator[RollupBatch]:
        for kind, coarse in enumerate(self.kinds):
            for (window_ms, start_ms), window in sorted(coarse.windows.items()):
                if window.whole or (window.changed and self._rested(window)):
                    yield from self._batches(kind, window_ms, start_ms, window)

    def _rested(self, of: MergePane | Window) -> bool:
        return self.sources.now_ms - of.emitted_ms >= self.limits.emit_every_ms

    def _batches(self, kind: int, window_ms: int, start_ms: int, of: MergePane | Window) -> Iterator[RollupBatch]:
        """As many as it takes. The number of a batch holds its kind, so that kinds never share a key."""
        closing = of.held if of.whole and isinstance(of, MergePane) else None
        rows, corrected = of.emission()
        if closing is not None:
            self.owing.judge(claims.OUT, claims.Claim(kind, start_ms, closing), int(rows.count.sum()))
        of.emitted_ms = self.sources.now_ms
        flags = np.full(len(rows), FLAG_FINAL if of.final else 0, np.uint8)
        flags[np.searchsorted(rows.series, corrected)] |= FLAG_CORRECTION
        rows = dataclasses.replace(
            rows,
            flags=flags,
            offset=np.full(len(rows), self.fence),
            revision=np.full(len(rows), of.revision, np.int32),
        )
        self.counters["rollup_rows"] += len(rows)
        clock = self.sources.clock()
        for piece in pieces(self.series.named(rows)):
            number = of.batches * SOURCE_KINDS + kind
            of.batches += 1
            yield RollupBatch(window_ms, start_ms, self.partition, number, clock.watermarks, piece)


def stale_rows(block: Cells, changed: Series) -> int:
    """Rows that said nothing new: cumulative ones exactly; late ones (several a series) only if the whole block did."""
    if len(changed) and bool(np.any(block.flags & FLAG_LATE)):
        return 0
    return len(block) - len(changed)


def traces(slo_rows: Cells) -> dict[int, list[str]]:
    """Trace ids (hex) by SLO group, of rows that carry an exemplar."""
    found: dict[int, list[str]] = {}
    for row, trace in zip(slo_rows.exemplar_row.tolist(), slo_rows.exemplar_trace, strict=True):
        found.setdefault(int(slo_rows.series[row]), []).append(trace.tobytes().hex())
    return found
