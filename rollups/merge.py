"""The merge of one partition of the partials: rows of all source partitions in, rollups out.

What: `apply` takes one partial: SLO cells at once (their differences are the evaluator's input), series rows into panes;
panes that all source partitions have passed become final and feed the 1 m, 5 m and 1 h windows. `drain` answers what
changed. A rollup row is true as of an offset of the partials, so the row with the highest offset is the truth and
repeats replace themselves (decisions 3 and 4). It refuses clocks: time is in the partials.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rollups.limits import COARSE_WINDOWS_MS, NEVER, PANE_MS, SOURCE_KINDS, Lateness
from rollups.pane_table import MergePane
from rollups.slo_table import SloDeltas, SloTable
from rollups.sources import Clock, Sources, source_kinds
from rollups.windows import Window, stamped
from schemas.cells import FLAG_CORRECTION, FLAG_FINAL, FLAG_SLO, Cells
from schemas.records import PartialBatch, RollupBatch


@dataclasses.dataclass(frozen=True, slots=True)
class MergeStep:
    """What one partial changed."""

    slo: SloDeltas
    clock: Clock
    as_of: Mapping[int, int]  # source partition -> source offset
    exemplars: Mapping[int, Sequence[str]]  # SLO group id -> trace ids


class Merge:
    """State of one merge partition. `sources` is the number of source partitions."""

    def __init__(self, partition: int, sources: int, lateness: Lateness | None = None) -> None:
        self.partition = partition
        self.lateness = lateness or Lateness()
        self.fence = -1
        self.sources = Sources(sources)
        self.slo = SloTable()
        self.panes: list[dict[int, MergePane]] = [{} for _ in range(SOURCE_KINDS)]
        self.coarse: list[dict[tuple[int, int], Window]] = [{} for _ in range(SOURCE_KINDS)]
        self.closed_before = [NEVER] * SOURCE_KINDS
        self.counters: Counter[str] = Counter()

    def apply(self, batch: PartialBatch, offset: int) -> MergeStep:
        """Take the partial at `offset`; at or below the fence it changes nothing."""
        if offset <= self.fence:
            empty = self.slo.apply(batch.partition, Cells.empty())
            return MergeStep(empty, self.sources.clock(), self.sources.heard(), {})
        self.fence = offset
        self.sources.hear(batch)
        is_slo = (batch.cells.flags & FLAG_SLO) != 0
        slo_rows = batch.cells.take(np.flatnonzero(is_slo))
        deltas = self.slo.apply(batch.partition, slo_rows)
        if not is_slo.all():
            self._series(batch.partition, batch.cells.take(np.flatnonzero(~is_slo)))
        self._close_passed()
        self._forget_old()
        return MergeStep(deltas, self.sources.clock(), self.sources.heard(), traces(slo_rows))

    def _series(self, source: int, cells: Cells) -> None:
        self.counters["rows"] += len(cells)
        kinds = source_kinds(cells)
        for kind in np.unique(kinds).tolist():
            horizon = self._horizon_ms(kind)
            for start_ms in np.unique(cells.pane_ms[kinds == kind]).tolist():
                rows = cells.take(np.flatnonzero((kinds == kind) & (cells.pane_ms == start_ms)))
                if start_ms < horizon:
                    self.counters["beyond_horizon"] += int(rows.count.sum())
                    continue
                pane = self.panes[kind].setdefault(start_ms, MergePane(start_ms))
                gained = pane.apply(source, rows)
                if len(gained):
                    self.counters["corrections"] += len(gained)
                    self._feed(kind, start_ms, gained)

    def _horizon_ms(self, kind: int) -> int:
        """Panes that start before this are gone: the late horizon and a pane more, so that no late row finds nothing."""
        newest = int(self.sources.max_event_ms[:, kind].max())
        passed = int(self.sources.watermarks[:, kind].min())
        if NEVER in {newest, passed}:
            return NEVER
        slack = self.lateness.horizon_ms[kind] + self.lateness.lateness_ms[kind] + 2 * PANE_MS
        return min(newest, passed) - slack

    def _feed(self, kind: int, start_ms: int, rows: Cells) -> None:
        """Add rows of a final pane to the windows that hold it."""
        for window_ms in COARSE_WINDOWS_MS:
            window_start = start_ms // window_ms * window_ms
            window = self.coarse[kind].setdefault((window_ms, window_start), Window(window_start, []))
            window.add(dataclasses.replace(rows, pane_ms=np.full(len(rows), window_start, np.int64)))

    def _close_passed(self) -> None:
        lowest = self.sources.watermarks.min(axis=0).tolist()
        for kind, watermark in enumerate(lowest):
            if watermark == NEVER:
                continue
            passed_ms = watermark - self.lateness.grace_ms
            self.closed_before[kind] = max(self.closed_before[kind], passed_ms // PANE_MS * PANE_MS)
            panes = self.panes[kind]
            due = [s for s in sorted(panes) if s + PANE_MS <= passed_ms and not panes[s].final]
            for start_ms in due:
                self._feed(kind, start_ms, panes[start_ms].close())
                self.counters["final_panes"] += 1
            for (window_ms, start_ms), window in self.coarse[kind].items():
                if not window.final and start_ms + window_ms <= passed_ms:
                    window.close()

    def _forget_old(self) -> None:
        for kind in range(SOURCE_KINDS):
            horizon = self._horizon_ms(kind)
            for start_ms in [s for s, pane in self.panes[kind].items() if s < horizon and pane.final]:
                if not len(self.panes[kind][start_ms].changed):
                    del self.panes[kind][start_ms]
            old = [k for k, w in self.coarse[kind].items() if k[0] + k[1] < horizon and w.final and not len(w.changed)]
            for key in old:
                del self.coarse[kind][key]
        newest = int(self.sources.max_event_ms.max())
        if newest != NEVER:
            self.slo.drop_before(newest - max(self.lateness.horizon_ms) - max(self.lateness.lateness_ms))

    def drain(self) -> list[RollupBatch]:
        """Rows that changed since the last drain, one batch a kind and window."""
        return [*self._pane_batches(), *self._coarse_batches()]

    def _pane_batches(self) -> Iterator[RollupBatch]:
        for kind, panes in enumerate(self.panes):
            for start_ms, pane in sorted(panes.items()):
                if not len(pane.changed):
                    continue
                flags = FLAG_FINAL if pane.final else 0
                flags |= FLAG_CORRECTION if pane.emitted_final else 0
                rows = stamped(pane.merged(pane.changed), flags, self.fence, pane.batches)
                pane.changed, pane.emitted_final = np.zeros(0, np.uint64), pane.final
                yield self._batch(kind, PANE_MS, start_ms, pane, rows)

    def _coarse_batches(self) -> Iterator[RollupBatch]:
        for kind, windows in enumerate(self.coarse):
            for (window_ms, start_ms), window in sorted(windows.items()):
                if window.final and len(window.changed):
                    rows = window.emission(self.fence)
                    yield self._batch(kind, window_ms, start_ms, window, rows)

    def _batch(self, kind: int, window_ms: int, start_ms: int, of: MergePane | Window, rows: Cells) -> RollupBatch:
        number = of.batches * SOURCE_KINDS + kind  # kinds count apart, so that no two batches share a key
        of.batches += 1
        self.counters["rollup_rows"] += len(rows)
        return RollupBatch(window_ms, start_ms, self.partition, number, self.sources.clock().watermarks, rows)


def traces(slo_rows: Cells) -> dict[int, list[str]]:
    """Trace ids (hex) by SLO group, of rows that carry an exemplar."""
    found: dict[int, list[str]] = {}
    for row, trace in zip(slo_rows.exemplar_row.tolist(), slo_rows.exemplar_trace, strict=True):
        found.setdefault(int(slo_rows.series[row]), []).append(trace.tobytes().hex())
    return found
