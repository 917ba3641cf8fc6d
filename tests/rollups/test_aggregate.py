"""The aggregate, case by case: what leaves, when, to whom, under which word."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rollups.aggregate import Aggregate, Drained
from rollups.aggregate_state import restore, snapshot
from rollups.feeds import SloCells, SloPane
from rollups.intake import LateRow
from rollups.limits import NEVER, Lateness, Limits
from rollups.packing import CorruptState
from rollups.pane import EXEMPLARS, Exemplars
from rollups.series import OVERFLOW_LABEL
from schemas.cells import FLAG_LATE, FLAG_SLO, Cells
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from tests.rollups.telemetry import GROUPS, T0, Record, Row, measurements, no_feeds, series, some_feeds

A, B = series("a"), series("b")
CAR = series("car", MeasureKind.GAUGE, SourceKind.VEHICLE)


def rows_of(drained: Drained) -> list[tuple[int, int, int, int, int]]:
    """(series, pane from T0, offset, flags, count) of all batches, sorted."""
    cells = Cells.concatenate([batch.cells for batch in drained.partials.values()])
    names = ("series", "pane_ms", "offset", "flags", "count")
    columns = [getattr(cells, name).tolist() for name in names]
    return sorted(
        (key, pane - T0, offset, flags, count) for key, pane, offset, flags, count in zip(*columns, strict=True)
    )


def record(offset: int, *times: int, of: SeriesDefinition = A, append_ms: int = T0 + 60_000, **more: int) -> Record:
    rows = tuple(Row(of, T0 + time_ms, 1.0 + at, 1) for at, time_ms in enumerate(times))
    return Record(offset, append_ms, rows, **more)


def feed(aggregate: Aggregate, *records: Record) -> None:
    aggregate.apply(measurements(records, aggregate.resolve), records[-1].offset)


def test_a_pane_leaves_once_when_its_watermark_passes_end_and_grace() -> None:
    aggregate = Aggregate(0, 2, no_feeds)
    feed(aggregate, record(5, 0, 9_999, 10_000))
    assert rows_of(aggregate.drain()) == []
    feed(aggregate, record(6, 16_999))
    assert rows_of(aggregate.drain()) == []
    feed(aggregate, record(7, 17_000))
    drained = aggregate.drain()
    assert rows_of(drained) == [(A.id, 0, 7, 0, 2)]
    assert list(drained.partials) == [A.id % 2]
    assert rows_of(aggregate.drain()) == []


def test_a_measurement_for_a_closed_pane_leaves_as_a_late_row_of_its_record() -> None:
    aggregate = Aggregate(0, 1, no_feeds)
    feed(aggregate, record(1, 0, 40_000))
    aggregate.drain()
    feed(aggregate, record(2, 5, 6), record(3, 7), record(9, of=B))
    assert rows_of(aggregate.drain()) == [(A.id, 0, 2, FLAG_LATE, 2), (A.id, 0, 3, FLAG_LATE, 1)]
    assert aggregate.tally.late == 3


def test_too_late_and_future_rows_are_named_by_their_record() -> None:
    aggregate = Aggregate(0, 1, no_feeds, lateness=Lateness(horizon_ms=(600_000, 600_000, 3_600_000, 600_000)))
    feed(
        aggregate,
        record(1, 1_000_000, append_ms=T0 + 1_000_000),
        record(2, 399_999, 3, 400_000, append_ms=T0 + 1_000_000),
    )
    feed(aggregate, record(3, 1_060_001, 1_060_000, append_ms=T0 + 1_000_000))
    drained = aggregate.drain()
    assert drained.late == [LateRow(2, "too_late", 2, T0 + 3), LateRow(3, "future", 1, T0 + 1_060_001)]
    assert drained.dropped == {"too_late": 2, "future": 1}
    assert aggregate.drain().late == []


@pytest.mark.parametrize("cut", [False, True])
def test_the_horizon_is_measured_row_by_row_and_not_chunk_by_chunk(cut: bool) -> None:
    aggregate = Aggregate(0, 1, no_feeds)
    records = [
        record(1, 0, append_ms=T0),
        record(2, 600_001, append_ms=T0 + 600_001),
        record(3, 0, append_ms=T0 + 600_001),
    ]
    for part in [[entry] for entry in records] if cut else [records]:
        feed(aggregate, *part)
    assert (aggregate.tally.too_late, aggregate.tally.aggregated) == (1, 2)


def test_records_at_or_below_the_fence_and_repeats_change_nothing() -> None:
    aggregate = Aggregate(0, 1, no_feeds)
    feed(aggregate, record(5, 0, 1, sequence=1))
    feed(aggregate, record(4, 0), record(5, 0, 1, sequence=1))
    feed(aggregate, record(5, 0), record(6, 0, 1, sequence=1), record(7, 2, sequence=2))
    assert dataclasses.asdict(aggregate.tally) | {"late": 0} == {
        "accepted": 5, "aggregated": 3, "late": 0, "deduped": 2, "too_late": 0, "future": 0,
    }  # fmt: skip
    assert aggregate.intake.skipped == 4
    assert aggregate.fence == 7


def test_slo_rows_are_cumulative_and_leave_with_every_drain_that_touched_them() -> None:
    aggregate = Aggregate(0, 1, some_feeds)
    feed(aggregate, record(1, 0, 1))
    first = rows_of(aggregate.drain())
    assert first == sorted((group.id, 0, 1, FLAG_SLO, 0) for group in GROUPS[:2])
    assert rows_of(aggregate.drain()) == []
    feed(aggregate, record(2, 40_000))
    aggregate.drain()
    feed(aggregate, record(3, 2))
    cells = aggregate.drain().partials[0].cells
    slo = cells.take(np.flatnonzero((cells.flags & FLAG_SLO) > 0))
    assert set(slo.total.tolist()) == {3 << 20}
    assert {slo.definition(at) for at in range(2)} == {group.canonical() for group in GROUPS[:2]}


def test_slow_kinds_give_provisional_rows_of_what_changed() -> None:
    aggregate = Aggregate(0, 1, no_feeds)
    other = series("bus", MeasureKind.GAUGE, SourceKind.VEHICLE)
    aggregate.tick(T0, caught_up=True)
    feed(aggregate, record(1, 0, of=CAR), record(2, 1, of=other))
    assert rows_of(aggregate.drain()) == []
    feed(aggregate, record(3, 10_000, of=CAR))
    assert rows_of(aggregate.drain()) == sorted([(CAR.id, 0, 3, 0, 1), (other.id, 0, 3, 0, 1)])
    feed(aggregate, record(4, 2, of=CAR))
    assert rows_of(aggregate.drain()) == []
    aggregate.tick(T0 + 10_000, caught_up=False)
    assert rows_of(aggregate.drain()) == [(CAR.id, 0, 4, 0, 2)]
    feed(aggregate, record(5, 400_000, of=CAR, append_ms=T0 + 400_000))
    assert (other.id, 0, 5, 0, 1) in rows_of(aggregate.drain())


def test_every_target_hears_at_least_each_second() -> None:
    aggregate = Aggregate(3, 2, no_feeds)
    aggregate.tick(T0, caught_up=False)
    batches = aggregate.drain().partials
    assert sorted(batches) == [0, 1]
    assert (batches[0].partition, batches[0].as_of, batches[0].now_ms) == (3, -1, T0)
    assert batches[0].watermarks == (NEVER,) * 4
    aggregate.tick(T0 + 999, caught_up=True)
    assert aggregate.drain().partials == {}
    aggregate.tick(T0 + 1_000, caught_up=True)
    assert sorted(aggregate.drain().partials) == [0, 1]


def test_a_successor_whose_clock_is_hours_behind_goes_on_at_the_same_pace() -> None:
    """Heartbeats, provisional rows and idle time are intervals: two hours back is no pause of two hours."""
    kind = SourceKind.VEHICLE
    slow, hours = series("slow", source=kind), 2 * 3_600_000
    before = Aggregate(0, 1, no_feeds)
    feed(before, record(0, 1_000, 30_000, of=slow))
    before.tick(T0 + 60_000, caught_up=True)
    assert rows_of(before.drain())
    after = Aggregate(0, 1, no_feeds)
    restore(after, snapshot(before))
    now_ms = T0 + 60_000 - hours
    after.tick(now_ms, caught_up=True)
    assert not after.drain().partials, "a heartbeat left just now"
    after.tick(now_ms + 1_000, caught_up=True)
    assert after.drain().partials
    feed(after, record(1, 2_000, of=slow))
    after.tick(now_ms + 9_000, caught_up=True)
    assert not rows_of(after.drain()), "provisional rows leave each ten seconds"
    after.tick(now_ms + 10_000, caught_up=True)
    assert rows_of(after.drain())
    mark = after.intake.watermarks.current()[kind]
    after.tick(now_ms + 70_000, caught_up=True)
    assert after.intake.watermarks.current()[kind] - mark >= 50_000, "and idle time counts"


def test_series_beyond_the_limit_are_counted_under_a_visible_overflow_series() -> None:
    aggregate = Aggregate(0, 1, no_feeds, Limits(max_series=2))
    for offset, name in enumerate("abcde"):
        feed(aggregate, record(offset, 0, of=series(name)))
    feed(aggregate, record(9, 60_000))
    overflow = SeriesDefinition("latency", MeasureKind.OUTCOME, "ms", SourceKind.WEB, {OVERFLOW_LABEL: "true"})
    assert (overflow.id, 0, 9, 0, 3) in rows_of(aggregate.drain())
    assert aggregate.overflowed == 3
    assert aggregate.tally.unaccounted == 0


def test_idle_series_are_evicted_and_the_others_keep_their_cells() -> None:
    aggregate = Aggregate(0, 1, some_feeds, Limits(idle_series_ms=100_000))
    names = [series(name) for name in "abc"]
    feed(aggregate, *(record(at, 0, of=definition, append_ms=T0) for at, definition in enumerate(names)))
    feed(aggregate, record(5, 200_000, of=names[0], append_ms=T0 + 200_000))
    aggregate.drain()
    assert aggregate.compact() == 0, "closing a pane is the last sign of life"
    feed(aggregate, record(6, 300_002, 300_001, of=names[2], append_ms=T0 + 300_001))
    aggregate.drain()
    assert aggregate.compact() == 1
    assert len(aggregate.registry) == 2
    assert aggregate.resolve(names[2]) == 1
    feed(aggregate, record(7, 400_000, of=names[1], append_ms=T0 + 400_000))
    found = {row[0]: row for row in rows_of(aggregate.drain())}
    assert found[names[2].id] == (names[2].id, 300_000, 7, 0, 2)


def test_a_replay_of_hours_does_not_hold_hours_of_panes() -> None:
    aggregate = Aggregate(0, 1, no_feeds)
    for minute in range(400):
        feed(aggregate, record(minute, minute * 60_000, append_ms=T0 + minute * 60_000))
    assert len(aggregate.panes) < 120
    aggregate.tick(T0 + 400 * 60_000, caught_up=True)
    aggregate.tick(T0 + 500 * 60_000, caught_up=True)
    assert sum(row[4] for row in rows_of(aggregate.drain())) == 400


def test_other_slo_configurations_are_asked_for_again() -> None:
    aggregate = Aggregate(0, 1, no_feeds, feeds_version="one")
    feed(aggregate, record(1, 0))
    other = Aggregate(0, 1, some_feeds, feeds_version="two")
    restore(other, snapshot(aggregate))
    feed(other, record(2, 1))
    cells = other.drain().partials[0].cells
    assert set(cells.total[cells.flags == FLAG_SLO].tolist()) == {1 << 20}


def test_what_is_not_its_snapshot_is_refused() -> None:
    aggregate = Aggregate(0, 1, some_feeds)
    feed(aggregate, record(1, 0))
    data = snapshot(aggregate)
    for at in (0, 5, 9, 20, len(data) // 2, len(data) - 1):
        broken = bytearray(data)
        broken[at] ^= 0x55
        with pytest.raises(CorruptState):
            restore(Aggregate(0, 1, some_feeds), bytes(broken))
    for size in (0, 3, 16, len(data) - 1):
        with pytest.raises(CorruptState):
            restore(Aggregate(0, 1, some_feeds), data[:size])
    with pytest.raises(CorruptState, match="0 of 1"):
        restore(Aggregate(1, 1, some_feeds), data)


def test_a_trace_without_an_outcome_survives_a_restart() -> None:
    """Its group counts nothing, so the exemplar is all that the pane holds."""
    pane = SloPane()
    pane.offer(Exemplars(*(np.zeros(1, dtype) for dtype in EXEMPLARS.values())))
    cells, again = SloCells(), SloCells()
    cells.panes[0] = pane
    again.load(cells.columns())
    assert len(again.panes[0].exemplars.slot) == 1
