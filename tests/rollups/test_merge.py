"""The merge, case by case: what is late and when, who holds a pane open, what is dropped and counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rollups.limits import PANE_MS
from rollups.merge import Merge
from rollups.merge_limits import MergeLimits
from schemas.cells import FLAG_CORRECTION, FLAG_FINAL, FLAG_LATE, Cells
from schemas.records import PartialBatch, RollupBatch, SloGroup
from tests.rollups.partials import GROUP, LATENESS, SERIES, T0, UNIT, Point, Row, Value, cells

NOW = MergeLimits(emit_every_ms=0)
WEB, VEHICLE = 0, 2


def value(*values: float) -> Value:
    found = Value()
    for one in values:
        found.add(Point(0, 0, one))
    return found


def late(series: int, pane: int, offset: int, one: float) -> Row:
    return (series, pane, offset, FLAG_LATE, value(one))


@dataclasses.dataclass
class Story:
    """A merge and the offset of its next partial."""

    merge: Merge
    offset: int = 0

    def tell(self, source: int, mark: int, *rows: Row, slo: tuple[tuple[int, int, int, int], ...] = ()) -> None:
        """A partial of a source partition whose watermarks are all T0 + mark."""
        as_of = max([0, *(row[2] for row in rows)])
        marks, newest = (T0 + mark,) * 4, (T0 + mark + 2_000,) * 4
        batch = PartialBatch(source, as_of, 0, T0 + mark + 2_000, marks, newest, cells(rows, slo))
        self.step = self.merge.apply(batch, self.offset)
        self.offset += 1

    def heard(self, window_ms: int = PANE_MS) -> list[tuple[int, int, int, int]]:
        """(place in SERIES, seconds after T0, count, flags) of each row that leaves now."""
        return [row for batch in self.merge.drain() if batch.window_ms == window_ms for row in rows_of(batch)]


def rows_of(batch: RollupBatch) -> list[tuple[int, int, int, int]]:
    ids = [series.id for series in SERIES]
    block = batch.cells
    after = (batch.start_ms - T0) // 1000
    columns = zip(block.series.tolist(), block.count.tolist(), block.flags.tolist(), strict=True)
    return [(ids.index(series), after, count, flags) for series, count, flags in columns]


@pytest.fixture
def one() -> Story:
    """One source partition."""
    return Story(Merge(0, 1, LATENESS, NOW))


@pytest.fixture
def two() -> Story:
    """Two source partitions."""
    return Story(Merge(0, 2, LATENESS, NOW))


FINAL, CORRECTED = FLAG_FINAL, FLAG_FINAL | FLAG_CORRECTION


def test_a_pane_is_final_when_all_source_partitions_have_passed_its_end_and_grace(two):
    two.tell(0, 11_000, (0, T0, 5, 0, value(1.0, 2.0)))
    two.tell(1, 10_999)
    assert two.heard() == [(0, 0, 2, 0)]
    two.tell(1, 11_000)
    assert two.heard() == [(0, 0, 2, FINAL)]


def test_a_silent_source_partition_blocks_finality_and_its_heartbeat_releases_it(two):
    two.tell(0, 900_000, (0, T0, 5, 0, value(1.0)))
    assert two.heard() == [(0, 0, 1, 0)]
    assert two.step.clock.watermarks[WEB] < 0
    assert two.heard() == []
    two.tell(1, 500_000)
    assert two.heard() == [(0, 0, 1, FINAL)]


def test_rows_of_all_source_partitions_are_added(two):
    two.tell(0, 12_000, (0, T0, 5, 0, value(1.0, 2.0)))
    two.tell(1, 12_000, (0, T0, 3, 0, value(0.25)), (1, T0, 3, 0, value(7.0)))
    (batch,) = two.merge.drain()
    first = batch.cells.series.tolist().index(SERIES[0].id)
    assert batch.cells.count[first] == 3
    assert batch.cells.sum_whole[first] + batch.cells.sum_frac[first] / 2**40 == 3.25
    assert (batch.cells.low[first], batch.cells.high[first]) == (0.25, 2.0)
    assert batch.cells.offset.tolist() == [1, 1]


def test_a_row_that_is_true_as_of_an_older_offset_is_stale(one):
    one.tell(0, 0, (0, T0, 5, 0, value(1.0, 2.0)))
    one.tell(0, 0, (0, T0, 4, 0, value(1.0)), (0, T0 + PANE_MS, 4, 0, value(1.0)))
    one.tell(0, 0, (0, T0, 5, 0, value(1.0, 2.0)), (1, T0, 5, 0, value(1.0)))
    assert sorted(one.heard()) == [(0, 0, 2, 0), (0, 10, 1, 0), (1, 0, 1, 0)]
    assert one.merge.counters["stale_rows"] == 2


def test_at_or_below_the_fence_nothing_changes(one):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0)), slo=((T0, 5, 1, 1),))
    one.heard()
    one.offset = 0
    one.tell(0, 90_000, (0, T0, 9, 0, value(1.0, 1.0)), slo=((T0, 9, 2, 2),))
    assert one.heard() == []
    assert len(one.step.slo.group) == 0
    assert one.step.clock.watermarks[WEB] == T0 + 12_000


def test_late_before_final_is_simply_counted(two):
    two.tell(0, 12_000, (0, T0, 5, 0, value(1.0)))
    two.tell(0, 13_000, late(0, T0, 6, 9.0), late(1, T0, 6, 3.0))
    two.heard()
    two.tell(1, 12_000)
    assert two.heard() == [(0, 0, 2, FINAL), (1, 0, 1, FINAL)]
    assert two.merge.counters["corrections"] == 0


def test_late_after_final_corrects_the_pane_and_the_open_minute(one):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0)), (1, T0, 5, 0, value(1.0)))
    assert one.heard() == [(0, 0, 1, FINAL), (1, 0, 1, FINAL)]
    one.tell(0, 13_000, late(0, T0, 6, 9.0))
    one.tell(0, 13_000, late(0, T0, 6, 9.0), late(0, T0, 7, 9.0))
    assert one.heard() == [(0, 0, 3, CORRECTED)]
    one.tell(0, 61_000)
    assert one.heard(60_000) == [(0, 0, 3, FINAL), (1, 0, 1, FINAL)]


def test_a_late_row_that_the_closed_row_holds_already_is_stale(one):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0, 2.0)))
    one.heard()
    one.tell(0, 12_000, late(0, T0, 5, 2.0))
    assert one.heard() == []


def test_a_cumulative_row_after_final_brings_only_its_difference(one):
    one.tell(0, 61_000, (0, T0, 5, 0, value(1.0, 2.0)))
    assert one.heard(60_000) == [(0, 0, 2, FINAL)]
    one.tell(0, 62_000, (0, T0, 8, 0, value(1.0, 2.0, 3.0)))
    assert one.heard(60_000) == [(0, 0, 3, CORRECTED)]


@pytest.mark.parametrize("window_ms", [60_000, 300_000, 3_600_000])
def test_late_after_a_coarse_window_left_corrects_it(one, window_ms):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0)))
    one.tell(0, window_ms + 1_000, (0, T0 + window_ms - PANE_MS, 9, 0, value(2.0)))
    assert one.heard(window_ms) == [(0, 0, 2, FINAL)]
    one.tell(
        0, window_ms + 2_000, late(0, T0 + window_ms - PANE_MS, 10, 3.0), late(1, T0 + window_ms - PANE_MS, 10, 4.0)
    )
    assert one.heard(window_ms) == [(0, 0, 3, CORRECTED), (1, 0, 1, CORRECTED)]


def test_a_late_row_for_an_empty_pane_of_a_final_hour_reaches_every_window(one):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0)))
    one.tell(0, 3_601_000)
    one.merge.drain()
    one.tell(0, 3_601_000, late(0, T0 + 3_590_000, 9, 2.0))
    found = {batch.window_ms: rows_of(batch) for batch in one.merge.drain()}
    assert found[PANE_MS] == [(0, 3590, 1, FINAL)]
    assert found[60_000] == [(0, 3540, 1, FINAL)]
    assert found[300_000] == [(0, 3300, 1, FINAL)]
    assert found[3_600_000] == [(0, 0, 2, CORRECTED)]


def test_a_late_row_for_an_empty_minute_of_final_windows_reaches_them(one):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0)))
    one.tell(0, 301_000)
    assert one.heard(300_000) == [(0, 0, 1, FINAL)]
    one.tell(0, 301_000, late(0, T0 + 70_000, 9, 2.0))
    found = {batch.window_ms: rows_of(batch) for batch in one.merge.drain()}
    assert found[60_000] == [(0, 60, 1, FINAL)]
    assert found[300_000] == [(0, 0, 2, CORRECTED)]
    one.tell(0, 3_601_000)
    assert one.heard(3_600_000) == [(0, 0, 2, FINAL)]


def test_beyond_the_horizon_is_counted_and_changes_nothing(one):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0)))
    one.tell(0, 700_000)
    one.merge.drain()
    one.tell(0, 700_000, late(0, T0, 6, 2.0), late(0, T0 + 690_000, 6, 2.0))
    assert one.heard() == [(0, 690, 1, 0)]
    assert one.merge.counters["beyond_horizon"] == 1
    gone = one.merge.take_beyond()
    assert (gone.pane_ms.tolist(), gone.offset.tolist(), gone.definition(0)) == ([T0], [6], SERIES[0].canonical())
    assert not len(one.merge.take_beyond())
    assert T0 not in one.merge.kinds[WEB].panes


def test_rows_of_a_worker_that_catches_up_are_older_than_the_time_that_comes_with_them(one):
    one.tell(0, 5_000_000, (0, T0, 5, 0, value(1.0)), (0, T0 + 4_000_000, 5, 0, value(1.0)))
    assert one.heard() == [(0, 0, 1, FINAL), (0, 4000, 1, FINAL)]
    assert not one.merge.counters["beyond_horizon"]


@pytest.mark.parametrize("window_ms", [60_000, 300_000])
def test_a_short_horizon_forgets_nothing_that_a_longer_window_needs(window_ms):
    lateness = dataclasses.replace(LATENESS, lateness_ms=(0,) * 4, horizon_ms=(0,) * 4)
    story = Story(Merge(0, 1, lateness, NOW))
    found = []
    for pane in range(0, window_ms + 20_000, PANE_MS):
        story.tell(0, pane + 11_000, (0, T0 + pane, pane, 0, value(1.0)))
        found += story.heard(window_ms)
    assert found == [(0, 0, window_ms // PANE_MS, FINAL)]
    assert len(story.merge.kinds[WEB].panes) < 10


def test_what_has_not_left_yet_is_not_forgotten(one):
    one.tell(0, 12_000, (0, T0, 5, 0, value(1.0)))
    one.tell(0, 9_000_000)
    counts = {batch.window_ms: batch.cells.count.tolist() for batch in one.merge.drain()}
    assert counts == {PANE_MS: [1], 60_000: [1], 300_000: [1], 3_600_000: [1]}
    one.tell(0, 9_010_000)
    assert not one.merge.kinds[WEB].panes
    assert not one.merge.kinds[WEB].windows


def test_kinds_have_watermarks_and_horizons_of_their_own(one):
    newest = (T0 + 700_000, T0, T0 + 700_000, T0)
    marks = (T0 + 690_000, T0, T0 + 5_000, T0)
    rows = [(0, T0, 3, 0, value(1.0)), (2, T0, 3, 0, value(1.0))]
    one.merge.apply(PartialBatch(0, 2, 0, T0, marks, newest, Cells.empty()), 0)
    one.merge.apply(PartialBatch(0, 3, 0, T0, marks, newest, cells(rows)), 1)
    assert one.heard() == [(2, 0, 1, 0)]
    assert one.merge.counters["beyond_horizon"] == 1


def test_every_window_leaves_once_and_adds_up(one):
    for pane in range(0, 3_600_000, PANE_MS):
        one.tell(0, pane + 12_000, (0, T0 + pane, pane, 0, value(1.0)))
    batches = one.merge.drain()
    counts = {length: [int(b.cells.count[0]) for b in batches if b.window_ms == length] for length in (60_000, 300_000)}
    assert counts == {60_000: [6] * 60, 300_000: [30] * 12}
    assert [b.cells.count.tolist() for b in batches if b.window_ms == 3_600_000] == [[360]]
    assert len({(b.window_ms, b.start_ms, b.batch) for b in batches}) == len(batches)


def test_corrections_rest_by_the_brokers_stamps_and_not_by_the_clock_of_who_wrote_them():
    """The worker's clock is set back by two hours: a correction waits no longer for it."""
    merge, hours = Merge(0, 1, LATENESS), 7_200_000
    merge.apply(PartialBatch(0, 5, 0, T0, *clocks(0), cells([(0, T0, 5, 0, value(1.0))])), 0, T0)
    merge.apply(PartialBatch(0, 5, 0, T0 + 20_000, *clocks(20_000), Cells.empty()), 1, T0 + 20_000)
    assert [batch.window_ms for batch in merge.drain()] == [PANE_MS]
    for offset, after_ms in ((2, 21_000), (3, 26_000)):
        rows = cells([late(0, T0, 4 + offset, 2.0)])
        written_ms = T0 + after_ms - hours
        merge.apply(PartialBatch(0, 4 + offset, 0, written_ms, *clocks(after_ms), rows), offset, T0 + after_ms)
        told = [row for batch in merge.drain() for row in rows_of(batch)]
        assert told == ([] if offset == 2 else [(0, 0, 3, CORRECTED)])


def clocks(after_ms: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Watermarks and newest event times of all kinds."""
    return (T0 + after_ms,) * 4, (T0 + after_ms + 2_000,) * 4


def test_provisional_rows_and_corrections_rest_between_two_emissions():
    story = Story(Merge(0, 1, LATENESS))
    story.tell(0, 0, (0, T0, 1, 0, value(1.0)))
    assert story.heard() == []
    story.tell(0, 2_000, (0, T0, 2, 0, value(1.0, 1.0)))
    assert story.heard() == [(0, 0, 2, 0)]
    story.tell(0, 11_000)
    assert story.heard() == [(0, 0, 2, FINAL)]
    story.tell(0, 12_000, late(0, T0, 3, 1.0))
    assert story.heard() == []
    story.tell(0, 13_000)
    assert story.heard() == [(0, 0, 3, CORRECTED)]


def test_slo_cells_answer_differences(two):
    two.tell(0, 0, slo=((T0, 5, 3, 4), (T0 + PANE_MS, 5, 1, 1)))
    slo = two.step.slo
    assert SloGroup.from_bytes(slo.definition(0)) == GROUP
    assert list(zip(slo.pane_ms - T0, slo.good // UNIT, slo.total // UNIT, strict=True)) == [(0, 3, 4), (10_000, 1, 1)]
    two.tell(1, 0, slo=((T0, 9, 1, 1),))
    assert (two.step.slo.good // UNIT).tolist() == [1]
    two.tell(0, 0, slo=((T0, 7, 3, 6),))
    assert (two.step.slo.good // UNIT).tolist() == [0]
    assert (two.step.slo.total // UNIT).tolist() == [2]
    two.tell(0, 0, slo=((T0, 6, 3, 5),))
    assert len(two.step.slo.group) == 0
    two.tell(0, 0, slo=((T0, 7, 3, 6),))
    assert len(two.step.slo.group) == 0
    assert two.step.as_of == {0: 0, 1: 0}


def test_slo_rows_of_a_forgotten_pane_are_counted(one):
    one.tell(0, 0, slo=((T0, 5, 3, 4),))
    one.tell(0, 700_000, slo=((T0, 6, 4, 5),))
    assert (one.step.slo.total // UNIT).tolist() == [1]  # rows come before the time that came with them
    one.tell(0, 700_000, slo=((T0, 7, 5, 6),))
    assert len(one.step.slo.group) == 0
    assert one.merge.slo.beyond_horizon == 1
    assert not one.merge.slo.warm


def test_series_and_groups_beyond_the_limit_are_refused_and_counted():
    merge = Merge(0, 1, LATENESS, MergeLimits(max_series=1, max_groups=0, emit_every_ms=0))
    story = Story(merge)
    story.tell(0, 12_000, (0, T0, 5, 0, value(1.0)), (1, T0, 5, 0, value(1.0)), slo=((T0, 5, 1, 1),))
    assert story.heard() == [(0, 0, 1, FINAL)]
    assert merge.counters["refused_series"] == 1
    assert merge.slo.refused == 1
    assert len(story.step.slo.group) == 0


def test_too_many_panes_close_early_and_what_follows_corrects_them():
    story = Story(Merge(0, 2, LATENESS, MergeLimits(max_panes=2, emit_every_ms=0)))
    for pane in range(3):
        story.tell(0, 0, (0, T0 + pane * PANE_MS, 5, 0, value(1.0)))
    assert story.heard() == [(0, 0, 1, FINAL), (0, 10, 1, 0), (0, 20, 1, 0)]
    story.tell(1, 0, (0, T0, 5, 0, value(1.0)))
    assert story.heard() == [(0, 0, 2, CORRECTED)]
    assert story.merge.counters["forced_final"] == 1


def test_open_panes_beyond_the_limit_are_folded_and_opened_again():
    story = Story(Merge(0, 1, LATENESS, MergeLimits(max_open_rows=1, emit_every_ms=0)))
    story.tell(0, 0, (0, T0, 5, 0, value(1.0)), (0, T0 + PANE_MS, 5, 0, value(1.0)))
    assert story.merge.counters["folded_early"] == 1
    story.tell(0, 0, (0, T0, 6, 0, value(1.0, 2.0)))
    assert story.heard() == [(0, 0, 2, 0), (0, 10, 1, 0)]


def test_archives_beyond_the_limit_are_dropped_oldest_first():
    story = Story(Merge(0, 1, LATENESS, MergeLimits(max_archive_bytes=0, emit_every_ms=0)))
    story.tell(0, 61_000, (0, T0, 5, 0, value(1.0)), (0, T0 + 50_000, 5, 0, value(1.0)))
    story.merge.drain()
    story.tell(0, 61_000, (0, T0 + 70_000, 6, 0, value(1.0)))
    assert story.merge.counters["dropped_archives"] == 2
    story.tell(0, 61_000, late(0, T0, 7, 1.0))
    assert story.merge.counters["beyond_horizon"] == 1


def test_coarse_windows_beyond_the_limit_are_dropped():
    story = Story(Merge(0, 1, LATENESS, MergeLimits(max_windows=1, emit_every_ms=0)))
    story.tell(0, 61_000, (0, T0, 5, 0, value(1.0)))
    story.merge.drain()
    story.tell(0, 122_000, (0, T0 + 70_000, 6, 0, value(1.0)))
    assert story.merge.counters["dropped_windows"] > 0


def test_exemplars_of_slo_rows_name_their_group(one):
    block = cells([], ((T0, 5, 1, 1),))
    trace = np.frombuffer(bytes(range(16)), "V16")
    block = dataclasses.replace(
        block,
        exemplar_row=np.zeros(1, np.int32),
        exemplar_value=np.ones(1),
        exemplar_time_ms=np.full(1, T0),
        exemplar_bad=np.ones(1, np.uint8),
        exemplar_trace=trace,
    )
    step = one.merge.apply(PartialBatch(0, 5, 0, T0, (T0,) * 4, (T0,) * 4, block), 0)
    assert step.exemplars == {GROUP.id: [bytes(range(16)).hex()]}


def test_an_empty_partial_is_a_heartbeat(one):
    step = one.merge.apply(PartialBatch(0, 7, 0, T0 + 1, (T0,) * 4, (T0,) * 4, Cells.empty()), 0)
    assert (step.clock.now_ms, step.clock.max_event_ms, dict(step.as_of)) == (T0 + 1, (T0,) * 4, {0: 7})
