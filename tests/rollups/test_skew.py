"""Skew: a source whose clock is wrong is counted when it measured; one whose clock is right is left alone.

A source here has a true time that nobody in Tocsin sees, a wall clock that is off, and a forward clock of an origin of its own.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.aggregate import Aggregate
from rollups.aggregate_state import restore, snapshot
from rollups.intake import LateRow
from rollups.limits import Lateness
from rollups.packing import pack, unpack
from rollups.skew import shifts
from schemas.cells import Cells
from schemas.records import SourceKind
from tests.rollups.telemetry import T0, Record, Row, measurements, no_feeds, series

HOUR, DAY = 3_600_000, 86_400_000
CAR, WEB = series("car", source=SourceKind.VEHICLE), series("web")
LATENESS = Lateness(horizon_ms=(60_000, 60_000, 30 * DAY, 60_000))


@dataclasses.dataclass
class Clock:
    """Of one run of a machine: `off_ms` may change at any time, the origin never does."""

    off_ms: int = 0
    origin_ms: int = T0 - 5 * HOUR

    def wall(self, true_ms: int) -> int:
        return true_ms + self.off_ms

    def forward(self, true_ms: int) -> int:
        return true_ms - self.origin_ms


def made(clock: Clock, at_ms: int, *ages: int, of: object = CAR) -> tuple[tuple[Row, ...], int, int]:
    """(rows measured so long before, stamps of the making) of a batch that is made at a true time."""
    rows = tuple(Row(of, clock.wall(at_ms - age), 1.0) for age in ages)  # type: ignore[arg-type]
    return rows, clock.wall(at_ms), clock.forward(at_ms)


def sent(
    batch: tuple[tuple[Row, ...], int, int],
    clock: Clock,
    at_ms: int,
    offset: int,
    *,
    same: bool = True,
    flight: int = 0,
) -> Record:
    """The record of the log. `same`: in the run of the machine in which it was made."""
    rows, wall, forward = batch
    stamps = (wall, forward, clock.wall(at_ms), clock.forward(at_ms) if same else 0)
    return Record(offset, at_ms + flight, rows, sequence=offset, stamps=stamps)


def taken(*records: Record, lateness: Lateness = LATENESS) -> tuple[list[int], Aggregate]:
    """Event times, less T0, that the aggregate goes by."""
    aggregate = Aggregate(0, 1, no_feeds, lateness=lateness)
    chunk = aggregate.intake.take(measurements(records, aggregate.resolve), -1, False)
    return (chunk.time_ms - T0).tolist(), aggregate


@pytest.mark.parametrize("off_ms", [2 * HOUR, -2 * HOUR, -50 * 365 * DAY])
def test_a_clock_that_is_wrong_by_hours_or_was_never_set(off_ms: int) -> None:
    clock = Clock(off_ms)
    batch = made(clock, T0, 0, 700, 9_000)
    times, aggregate = taken(sent(batch, clock, T0 + 40, 1, flight=15))
    assert times == [15, 15 - 700, 15 - 9_000], "the time in flight is all that is wrong"
    assert aggregate.intake.skewed == {"ahead" if off_ms > 0 else "behind": 3, "unclear": 0} | (
        {"behind": 0} if off_ms > 0 else {"ahead": 0}
    )


def test_a_clock_that_is_right_is_left_alone_however_long_a_batch_waited_or_flew() -> None:
    clock = Clock()
    batch = made(clock, T0 - 6 * DAY, 0, 5)
    for flight in (0, 299_000):
        times, aggregate = taken(sent(batch, clock, T0, 1, flight=flight))
        assert times == [-6 * DAY, -6 * DAY - 5]
        assert not aggregate.intake.skewed


def test_a_little_ahead_is_left_alone_and_a_little_more_is_not() -> None:
    for off_ms, expected in ((5_000, 5_000), (5_001, 0)):
        clock = Clock(off_ms)
        assert taken(sent(made(clock, T0, 0), clock, T0, 1))[0] == [expected]


def test_days_of_spool_keep_their_distances() -> None:
    clock = Clock(-2 * HOUR, origin_ms=T0 - 9 * DAY)
    records = [
        sent(made(clock, T0 - age, 0, 60_000), clock, T0 + n, n) for n, age in enumerate((5 * DAY, DAY, 3 * HOUR))
    ]
    assert taken(*records)[0] == [
        -5 * DAY, -5 * DAY - 60_000, -DAY, -DAY - 60_000, -3 * HOUR, -3 * HOUR - 60_000,
    ]  # fmt: skip


def test_a_day_of_spool_after_the_machine_started_anew() -> None:
    before, after = Clock(2 * HOUR), Clock(2 * HOUR, origin_ms=T0 - 60_000)
    record = sent(made(before, T0 - DAY, 0, 1_000), after, T0, 1, same=False)
    assert taken(record)[0] == [-DAY, -DAY - 1_000], "one wrong zone in both runs"


@pytest.mark.parametrize(
    ("before", "after"), [(2 * HOUR, 0), (-2 * HOUR, 0), (0, 2 * HOUR), (0, -3 * HOUR), (HOUR, -HOUR)]
)
def test_a_clock_that_was_set_between_making_and_sending(before: int, after: int) -> None:
    clock = Clock(before)
    batch = made(clock, T0 - HOUR, 0, 20_000)
    clock.off_ms = after
    assert taken(sent(batch, clock, T0, 1))[0] == [-HOUR, -HOUR - 20_000]


def test_what_stamps_of_another_run_do_not_tell_is_counted_and_left() -> None:
    never_set = Clock(-50 * 365 * DAY)
    right = made(Clock(), T0 - HOUR, 0)
    times, aggregate = taken(sent(right, never_set, T0, 1, same=False))  # sent before it was made, says the clock
    assert times == [-HOUR]
    assert aggregate.intake.skewed["unclear"] == 1
    both = sent(made(never_set, T0 - HOUR, 0), Clock(-50 * 365 * DAY + 7), T0, 2, same=False)
    times, aggregate = taken(both)
    assert times == [-HOUR - 50 * 365 * DAY]
    assert aggregate.intake.skewed["unclear"] == 1


def test_a_forward_clock_that_drifts_is_believed_no_further_than_it_may() -> None:
    clock = Clock(origin_ms=T0 - 10 * DAY)
    rows, wall, forward = made(clock, T0 - 7 * DAY, 0)
    for gained, expected in ((120_000, -7 * DAY), (160_000, -7 * DAY - 160_000)):
        record = Record(1, T0, rows, stamps=(wall, forward, T0, clock.forward(T0) + gained))
        assert taken(record)[0] == [expected]


def test_records_without_stamps_and_of_foreign_sources_are_never_moved() -> None:
    rows = (Row(CAR, T0 - 2 * HOUR, 1.0),)
    assert taken(Record(1, T0, rows))[0] == [-2 * HOUR]


def test_a_page_has_a_wall_clock_alone() -> None:
    rows = (Row(WEB, T0 + 2 * HOUR, 1.0),)
    page = Record(1, T0, rows, stamps=(T0 + 2 * HOUR + 500, 0, T0 + 2 * HOUR + 500, 0))
    assert taken(page)[0] == [-500]


def test_a_repeat_is_known_though_its_stamps_differ() -> None:
    clock = Clock(2 * HOUR)
    batch = made(clock, T0, 0)
    first, again = sent(batch, clock, T0, 1), sent(batch, clock, T0 + 9_000, 2)
    times, aggregate = taken(first, dataclasses.replace(again, sequence=1))
    assert times == [0]
    assert aggregate.tally.deduped == 1
    assert aggregate.intake.skewed["ahead"] == 1


def test_a_clock_ahead_neither_makes_others_late_nor_is_from_the_future() -> None:
    ahead = Clock(30_000)  # below what is refused as future: it would pull the watermark along
    records = [
        sent(made(ahead, T0, 0, of=WEB), ahead, T0, 1),
        Record(2, T0, (Row(WEB, T0 - 50_000, 1.0),)),
    ]
    times, aggregate = taken(*records)
    assert times == [0, -50_000]
    assert not aggregate.intake.dropped


def test_what_is_refused_says_how_far_it_was_moved() -> None:
    clock = Clock(2 * HOUR)
    records = [Record(1, T0, (Row(WEB, T0, 1.0),)), sent(made(clock, T0 - HOUR, 0, of=WEB), clock, T0, 2)]
    _, aggregate = taken(*records)
    assert aggregate.drain().late == [LateRow(2, "too_late", 1, T0 - HOUR, -2 * HOUR)]


def test_it_can_be_switched_off_each_way() -> None:
    for off_ms, lateness in (
        (2 * HOUR, dataclasses.replace(LATENESS, skew_ahead_ms=0, future_ms=DAY)),
        (-2 * HOUR, dataclasses.replace(LATENESS, skew_behind_ms=0)),
    ):
        clock = Clock(off_ms)
        assert taken(sent(made(clock, T0, 0), clock, T0, 1), lateness=lateness)[0] == [off_ms]


def test_no_time_leaves_its_bounds_and_no_number_overflows() -> None:
    edge = 2**53 - 1
    rows = (Row(CAR, 5, 1.0), Row(CAR, edge, 1.0))
    for stamps in ((1, 1, edge, edge), (edge, 1, edge, 1), (edge, edge, 1, 1), (1, 0, edge, 0), (edge, 1, edge, edge)):
        for append_ms in (-1, 0, T0):
            _, aggregate = taken(Record(1, append_ms, rows, stamps=stamps), lateness=Lateness(future_ms=2**54))
            assert aggregate.tally.accepted == 2


@settings(max_examples=200, deadline=None)
@given(
    before=st.integers(-3 * DAY, 3 * DAY), after=st.integers(-3 * DAY, 3 * DAY), waited=st.integers(0, 10 * DAY),
    age=st.integers(0, HOUR), flight=st.integers(0, 200_000),
)  # fmt: skip
def test_with_a_forward_clock_the_error_is_never_more_than_the_bound(
    before: int, after: int, waited: int, age: int, flight: int
) -> None:
    """Whatever the wall clock did, before or between: an event is where it was, up to what is not corrected at all."""
    clock = Clock(before, origin_ms=T0 - 20 * DAY)
    batch = made(clock, T0 - waited, age)
    clock.off_ms = after
    (time_ms,), _ = taken(sent(batch, clock, T0, 1, flight=flight))
    error = time_ms + waited + age
    slack = waited >> 12
    assert -300_000 - slack <= error <= 5_000 + slack + flight


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Sources with all kinds of clocks, in one log."""
    kinds = [Clock(), Clock(2 * HOUR), Clock(-2 * HOUR), Clock(45_000), Clock(-40 * 365 * DAY)]
    records, true_ms = [], T0
    for offset in range(draw(st.integers(1, 20))):
        true_ms += draw(st.sampled_from([0, 300, 8_000, 50_000]))
        clock = draw(st.sampled_from(kinds))
        batch = made(
            clock,
            true_ms - draw(st.sampled_from([0, 1_000, 2 * HOUR])),
            *draw(st.lists(st.integers(0, 90_000), max_size=4)),
        )
        record = sent(batch, clock, true_ms, offset, same=draw(st.booleans()))
        records.append(record if draw(st.integers(0, 4)) else dataclasses.replace(record, stamps=None))
        if draw(st.integers(0, 5)) == 0:
            kinds[1].off_ms = draw(st.sampled_from([0, HOUR, -HOUR]))
    return records


@settings(max_examples=80, deadline=None)
@given(logs(), st.data())
def test_no_cut_no_crash_and_no_replay_shows(records: list[Record], data: st.DataObject) -> None:
    """What leaves, what is refused and what is counted is the same, to the byte."""
    whole = Aggregate(0, 1, no_feeds, lateness=LATENESS, fingerprint=True)
    whole.apply(measurements(records, whole.resolve), records[-1].offset)
    parts = Aggregate(0, 1, no_feeds, lateness=LATENESS, fingerprint=True)
    at = 0
    while at < len(records):
        size = data.draw(st.integers(1, 6))
        again = max(0, at - data.draw(st.integers(0, 2)))
        chunk = records[again : at + size]
        parts.apply(measurements(chunk, parts.resolve), chunk[-1].offset)
        at += size
        if data.draw(st.booleans()):
            saved = snapshot(parts)
            parts = Aggregate(0, 1, no_feeds, lateness=LATENESS, fingerprint=True)
            restore(parts, saved)
    assert parts.intake.skewed == whole.intake.skewed
    assert parts.tally == whole.tally
    for aggregate in (whole, parts):
        aggregate.tick(T0 + 100 * DAY, True)
    ends = [aggregate.drain() for aggregate in (whole, parts)]
    late = [sorted(end.late, key=lambda row: (row.offset, row.reason)) for end in ends]
    assert late[0] == late[1]
    cells = [Cells.concatenate([batch.cells for batch in end.partials.values()]).columns() for end in ends]
    assert cells[0] == cells[1]


def test_a_snapshot_of_a_worker_that_knew_no_skew_is_taken_over() -> None:
    _, aggregate = taken(Record(1, T0, (Row(CAR, T0, 1.0),)))
    aggregate.intake.late.append(LateRow(1, "future", 1, T0))
    found = unpack(snapshot(aggregate))
    new = ("scalars/skewed", "scalars/late_skew_ms")
    before = pack(found.meta, {name: column for name, column in found.columns.items() if name not in new}, found.frozen)
    assert len(unpack(before).columns) == len(found.columns) - len(new)
    after = Aggregate(0, 1, no_feeds, lateness=LATENESS)
    restore(after, before)
    assert (after.intake.late, sum(after.intake.skewed.values())) == (aggregate.intake.late, 0)


def test_a_chunk_without_skew_costs_next_to_nothing() -> None:
    """No row is touched: the times are the very array that came in."""
    clock = Clock()
    records = [sent(made(clock, T0 + n, *range(50)), clock, T0 + n, n) for n in range(20)]
    aggregate = Aggregate(0, 1, no_feeds, lateness=LATENESS)
    given_columns = measurements(records, aggregate.resolve)
    chunk = aggregate.intake.take(given_columns, -1, False)
    assert chunk.time_ms is given_columns.time_ms
    assert shifts(given_columns.stamps, np.full(20, T0), LATENESS) is None
