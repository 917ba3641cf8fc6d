"""From panes to partial batches: rows of cells, addressed to the partition that merges them.

What: `pane_cells` reads a pane, `late_cells` makes one row a (record, cell) for closed panes, `slo_cells` reads changed
SLO groups; `addressed` gives rows their ids and definitions and puts them in order of target. Until
then the `series` column holds the registry index. Why: 100,000 rows leave at once when a pane closes, so nothing
here touches a row in Python except to look up its definition bytes. It refuses to decide what leaves, and when.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rollups import combine, histogram, sums
from rollups.feeds import FeedTable, SloPane
from rollups.intake import Chunk
from rollups.limits import FIXED_POINT, PANE_MS
from rollups.pane import GOOD_OUTCOME, NO_OUTCOME, Pane
from rollups.series import KIND_SHIFT, SLOT_MASK, KindSeries
from schemas.cells import EXEMPLAR_COLUMNS, FLAG_LATE, FLAG_SLO, HISTOGRAM_COLUMNS, ROW_COLUMNS, Cells, Column
from schemas.records import MeasureKind

_NO_BYTES = np.zeros(0, np.uint8)


def pane_cells(pane: Pane, kind: int, slots: NDArray[np.int64], as_of: int) -> Cells:
    """The named slots (ascending, count > 0) of a pane, in order. `series` holds registry indexes."""
    pane.carry()
    rows = len(slots)
    row_of = np.full(pane.capacity, -1, np.int32)
    row_of[slots] = np.arange(rows, dtype=np.int32)
    hist_slot, hist_code, hist_count = pane.buckets.consolidated()
    hist_row = row_of[hist_slot]
    kept = hist_row >= 0
    if not kept.all():
        hist_row, hist_code, hist_count = hist_row[kept], hist_code[kept], hist_count[kept]
    chosen = pane.exemplars.best()
    chosen = chosen.take(row_of[chosen.slot] >= 0)
    columns: dict[str, Column] = {
        "series": (slots | kind << KIND_SHIFT).astype(np.uint64),
        "pane_ms": np.full(rows, pane.start_ms),
        "offset": np.full(rows, as_of),
    }
    columns |= {name: getattr(pane, name)[slots] for name in ("count", "sum_whole", "sum_frac", "low", "high")}
    if pane.has_outcomes:
        columns |= {"good": pane.good[slots] * FIXED_POINT, "total": pane.total(slots) * FIXED_POINT}
    if pane.has_fingerprint:
        columns["fingerprint"] = pane.fingerprint[slots]
    return Cells.of(
        rows,
        **columns,
        hist_row=hist_row,
        hist_bucket=hist_code,
        hist_count=hist_count,
        exemplar_row=row_of[chosen.slot],
        exemplar_value=chosen.value,
        exemplar_time_ms=chosen.time_ms,
        exemplar_bad=chosen.bad,
        exemplar_trace=chosen.trace,
    )


def late_cells(chunk: Chunk, series: KindSeries, scale: int, fingerprint: bool) -> Cells:
    """One row for each (source offset, series, pane) of measurements whose pane is closed. One kind in the chunk."""
    rows = len(chunk)
    slots = chunk.index & SLOT_MASK
    whole, frac = sums.carry(*sums.split(chunk.value))
    bucketed = np.flatnonzero(series.measure[slots] >= int(MeasureKind.HISTOGRAM))
    outcome = series.measure[slots] == int(MeasureKind.OUTCOME)
    traced, offset = chunk.exemplar_row, chunk.offset()
    cells = Cells.of(
        rows,
        series=chunk.index.astype(np.uint64),
        pane_ms=chunk.time_ms // PANE_MS * PANE_MS,
        offset=offset,
        flags=np.full(rows, FLAG_LATE, np.uint8),
        count=np.ones(rows, np.int64),
        sum_whole=whole,
        sum_frac=frac,
        low=chunk.value,
        high=chunk.value,
        good=(outcome & (chunk.outcome == GOOD_OUTCOME)) * np.int64(FIXED_POINT),
        total=(outcome & (chunk.outcome != NO_OUTCOME)) * np.int64(FIXED_POINT),
        fingerprint=chunk.event_id if fingerprint else np.zeros(rows, np.uint64),
        hist_row=bucketed,
        hist_bucket=histogram.bucket(chunk.value[bucketed], scale),
        hist_count=np.ones(len(bucketed), np.int64),
        exemplar_row=traced,
        exemplar_value=chunk.value[traced],
        exemplar_time_ms=chunk.time_ms[traced],
        exemplar_bad=(chunk.outcome[traced] == 0).view(np.uint8),
        exemplar_trace=chunk.exemplar_trace,
    )
    return combine.combine(cells, offset)


@dataclasses.dataclass(frozen=True, slots=True)
class Addressed:
    """Cells in order of target; rows bounds[t]:bounds[t + 1] go to target t."""

    cells: Cells
    bounds: NDArray[np.int64]

    def for_target(self, target: int) -> Cells:
        """The rows of one target."""
        return part(self.cells, int(self.bounds[target]), int(self.bounds[target + 1]))


def slo_cells(
    pane: SloPane, start_ms: int, groups: NDArray[np.int64], table: FeedTable, as_of: int, targets: int
) -> Addressed:
    """Cumulative good and total of the named groups, and the best exemplar of each."""
    rows = len(groups)
    pane.exemplars = chosen = pane.exemplars.best()
    row_of = np.full(max(table.groups, 1), -1, np.int32)
    row_of[groups] = np.arange(rows, dtype=np.int32)
    chosen = chosen.take(row_of[chosen.slot] >= 0)
    cells = Cells.of(
        rows,
        series=table.group_id[groups],
        pane_ms=np.full(rows, start_ms),
        offset=np.full(rows, as_of),
        flags=np.full(rows, FLAG_SLO, np.uint8),
        good=pane.good[groups],
        total=pane.total[groups],
        exemplar_row=row_of[chosen.slot],
        exemplar_value=chosen.value,
        exemplar_time_ms=chosen.time_ms,
        exemplar_bad=chosen.bad,
        exemplar_trace=chosen.trace,
    )
    ordering, bounds = _order(cells, targets)
    definitions = [table.definitions[group] for group in groups[ordering].tolist()]
    lengths = np.array([len(definition) for definition in definitions], np.int64)
    return Addressed(_with_definitions(taken(cells, ordering), b"".join(definitions), lengths), bounds)


def addressed(cells: Cells, kinds: list[KindSeries], targets: int) -> Addressed:
    """Rows of one kind whose `series` is a registry index, with ids and definitions, in order of target."""
    index = cells.series.astype(np.int64)
    series, slots = kinds[int(index[0]) >> KIND_SHIFT], index & SLOT_MASK
    ordering, bounds = _order(dataclasses.replace(cells, series=series.id[slots]), targets)
    slots = slots[ordering]
    cells = dataclasses.replace(taken(cells, ordering), series=series.id[slots])
    places = series.place[slots].astype(np.int64)
    texts = [
        lane.take(places[low:high])[0]
        for lane, (low, high) in zip(series.lanes, pairwise(bounds.tolist()), strict=True)
    ]
    return Addressed(_with_definitions(cells, b"".join(texts), series.length[slots].astype(np.int64)), bounds)


def _order(cells: Cells, targets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(permutation by target, then late rows by id, pane and offset, others as they are; bounds of the targets)."""
    target = (cells.series % np.uint64(targets)).astype(np.uint16)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=targets))])
    if cells.flags.any():
        return np.lexsort((cells.offset, cells.pane_ms, cells.series, target)), bounds
    return np.argsort(target, kind="stable"), bounds


def _with_definitions(cells: Cells, definitions: bytes, lengths: NDArray[np.int64]) -> Cells:
    """The same rows with their definitions, one after the other."""
    end = np.cumsum(lengths).astype(np.int32)
    return dataclasses.replace(cells, definition_end=end, definition_bytes=np.frombuffer(definitions, np.uint8))


def taken(cells: Cells, ordering: NDArray[np.int64]) -> Cells:
    """A permutation of rows; side columns follow in order of row. Needs side columns ordered by row; no definitions.

    `Cells.take` keeps the side columns where they are; here they must be neighbours, so that a target is a slice.
    """
    out: dict[str, Column] = {name: getattr(cells, name)[ordering] for name in ROW_COLUMNS}
    for family, pointer in ((HISTOGRAM_COLUMNS, "hist_row"), (EXEMPLAR_COLUMNS, "exemplar_row")):
        size = np.bincount(getattr(cells, pointer), minlength=len(cells))
        start = (np.cumsum(size) - size)[ordering]
        size = size[ordering]
        ends = np.cumsum(size)
        row = np.repeat(np.arange(len(cells), dtype=np.int32), size)
        place = np.arange(len(row)) + (start - (ends - size))[row]
        out |= {name: getattr(cells, name)[place] for name in family}
        out[pointer] = row
    return Cells.of(len(cells), **out)


def part(cells: Cells, start: int, stop: int) -> Cells:
    """Rows start:stop as views. Side columns must be in order of row."""
    out: dict[str, Column] = {name: getattr(cells, name)[start:stop] for name in ROW_COLUMNS}
    for family, pointer in ((HISTOGRAM_COLUMNS, "hist_row"), (EXEMPLAR_COLUMNS, "exemplar_row")):
        low, high = np.searchsorted(getattr(cells, pointer), (start, stop))
        out |= {name: getattr(cells, name)[low:high] for name in family}
        out[pointer] = getattr(cells, pointer)[low:high] - np.int32(start)
    first = int(cells.definition_end[start - 1]) if start else 0
    last = int(cells.definition_end[stop - 1]) if stop > start else first
    out["definition_end"] = cells.definition_end[start:stop] - np.int32(first)
    out["definition_bytes"] = cells.definition_bytes[first:last]
    return Cells(**out)  # type: ignore[arg-type]
