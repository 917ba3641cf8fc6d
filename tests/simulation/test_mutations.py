"""Negative controls: the protocol broken on purpose, one rule at a time. The simulation has to see each of them.

A simulation that finds nothing proves nothing until it has found what is known to be there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest

from alerts.cohort import Cohort
from rollups.aggregate import Aggregate
from rollups.dedupe import Dedupe
from rollups.pane_table import MergePane
from rollups.plain import picked
from rollups.windows import Coarse
from schemas import codec
from sinks.lane import Lane
from sinks.outbox import Outbox
from streams import topics
from streams.aggregate import AggregateStep
from streams.clock import SteadyClock
from streams.merge import MergeStep
from streams.producer import Producer, Sent
from streams.stage import Stage, Unsaved
from tests.simulation import scenario
from tests.simulation.faults import Fault
from tests.simulation.oracle import judge, reference
from tests.simulation.runs import played

SEEDS = range(8)
OFTEN = [Fault(0.5 + 0.4 * n, "sending", n, 0.0) for n in range(12)]
KILLS = [Fault(0.9 + 0.9 * n, "kill", n, 0.0) for n in range(5)]
RIGHT = ("outputs", "settle", "snapshots", "acks")


@pytest.fixture(autouse=True, scope="module")
def references() -> None:
    """The runs without faults, by the code as it is: they are kept, and must not come of a mutant."""
    for seed in SEEDS:
        reference(seed % scenario.SCENARIOS)


def findings(faults: list[Fault]) -> str:
    """What the oracle says of the first runs, until it says something."""
    for seed in SEEDS:
        if found := judge(played(seed, faults)):
            return "\n".join(found)
    return ""


def checkpoint_in(order: tuple[str, ...]):
    """A checkpoint that does the right things in an order of its own."""

    async def checkpoint(self: Stage, last: bool = False) -> None:
        now, sent, work = self._clock(), Sent(), []
        for partition, held in self.held.items():
            held.step.tick(int(now * 1000), self.behind(partition) == 0)
            outputs = held.step.drain()
            snapshot = self._snapshot(held, now) if last or held.due(now, self.pace, len(self.held)) else None
            work.append((partition, held, outputs, snapshot, held.unsaved))
            held.unsaved = []
        self._unsaved = Unsaved()
        for phase in order:
            if phase == "settle":
                await self._producer.settled(sent)
                continue
            for partition, held, outputs, snapshot, events in work:
                if phase == "outputs":
                    self._producer.send(outputs, sent)
                elif self.held.get(partition) is held and phase == "acks":
                    held.step.settled()
                    self._acknowledge(events)
                elif self.held.get(partition) is held and phase == "snapshots" and snapshot is not None:
                    await self._write(partition, held, *snapshot)
        async with self._saved:
            self._saved.notify_all()

    return mock.patch.object(Stage, "checkpoint", checkpoint)


def test_the_right_order_of_the_mutants_is_found_good() -> None:
    with checkpoint_in(RIGHT):
        assert findings(OFTEN[::3]) == ""


def test_a_snapshot_before_its_outputs_is_seen() -> None:
    with checkpoint_in(("snapshots", "outputs", "settle", "acks")):
        assert "lost" in findings(OFTEN)


def test_an_acknowledgement_before_delivery_is_seen() -> None:
    with checkpoint_in(("outputs", "acks", "settle", "snapshots")):
        assert "on their way" in findings([])


@contextlib.contextmanager
def fence_ahead() -> Iterator[None]:
    """A snapshot of the aggregate that claims one record more than it holds."""
    right = Stage._snapshot

    def wrong(self: Stage, held, now):
        if isinstance(held.step, AggregateStep):
            held.step._aggregate.fence += 1
        found = right(self, held, now)
        if isinstance(held.step, AggregateStep):
            held.step._aggregate.fence -= 1
        return found

    with mock.patch.object(Stage, "_snapshot", wrong):
        yield


def test_a_fence_that_is_one_off_is_seen() -> None:
    with fence_ahead():
        assert "lost" in findings(KILLS)


def test_one_dropped_record_is_seen() -> None:
    right = AggregateStep.apply

    def dropping(self: AggregateStep, records) -> None:
        right(self, [record for record in records if (self.partition, record.offset) != (0, 7)])

    with mock.patch.object(AggregateStep, "apply", dropping):
        assert "lost" in findings([])


def test_a_dedupe_that_is_off_is_seen() -> None:
    with mock.patch.object(Dedupe, "admit", lambda self, key, *_: np.ones(len(key), np.bool_)):
        assert "doubled" in findings([])


def test_a_page_under_another_key_each_time_is_seen() -> None:
    keys = itertools.count()
    with mock.patch("sinks.pagerduty.dedup_key", lambda key: f"{key}-{next(keys)}"):
        assert "pages" in findings([])


def test_a_transition_that_is_no_function_of_the_log_is_seen() -> None:
    right, calls = MergeStep._alert, itertools.count()

    def wrong(self: MergeStep, transition):
        return right(self, dataclasses.replace(transition, event_ms=transition.event_ms + next(calls)))

    with mock.patch.object(MergeStep, "_alert", wrong):
        assert "a replay misses" in findings([])


DARK = [Fault(1.6 + 0.8 * n, "dark", 1, 0.5) for n in range(3)]


def test_source_partitions_that_lag_do_no_harm() -> None:
    assert findings(DARK) == ""


def test_an_alert_that_is_lowered_on_what_the_fastest_source_partition_says_is_seen() -> None:
    with mock.patch.object(Cohort, "_lowered", lambda self, rows, wanted, progress: wanted):
        assert "pages" in findings(DARK)


def jumps(size: float) -> list[Fault]:
    """Every machine's wall clock is set: 0.0 is two hours back, 1.0 two hours forward. Then workers are killed."""
    set_at = [Fault(0.6 + 0.01 * n, "jump", n, size) for n in range(2)]
    return [*set_at, *(Fault(1.2 + 0.9 * n, "kill", n, 0.0) for n in range(4))]


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_clocks_that_are_set_do_no_harm(size: float) -> None:
    assert findings(jumps(size)) == ""


def tick_of_before(self: Aggregate, now_ms: int, caught_up: bool) -> None:
    self.intake.watermarks.tick(now_ms, caught_up)


def test_time_that_waits_for_a_clock_that_was_set_back_is_seen() -> None:
    by_the_wall = mock.patch.object(SteadyClock, "now", lambda self: self._wall())
    with by_the_wall, mock.patch.object(Aggregate, "tick", tick_of_before):
        assert "not heard" in findings(jumps(0.0))


@pytest.mark.parametrize("field", ["count", "sum_whole"])
def test_a_revision_that_says_two_things_is_seen(field: str) -> None:
    """One row of one rollup is written again with another number, under the same revision."""
    world = played(1, [])
    record = world.broker.records(topics.ROLLUPS, 0)[0]
    batch = codec.decode(record.value)
    changed = dataclasses.replace(batch.cells, **{field: getattr(batch.cells, field) + 1})
    world.broker.append(topics.ROLLUPS, 0, None, codec.encode(dataclasses.replace(batch, cells=changed)))
    assert any("revision" in finding for finding in judge(world))


# -- the workers' own books: what the oracle sees from outside, `tocsin_unaccounted_events` must see from inside


def test_a_partial_that_is_lost_on_its_way_shows_in_the_merge() -> None:
    right, calls = Producer.send, itertools.count()

    def kept(record) -> bool:
        whole = record.topic != topics.PARTIALS or not len(codec.decode(record.value).cells)
        return whole or next(calls) % 20 != 7

    def losing(self: Producer, records, sent=None):
        return right(self, [record for record in records if kept(record)], sent)

    with mock.patch.object(Producer, "send", losing):
        found = findings([])
    assert "unaccounted in merge" in found


def test_rows_that_the_merge_loses_show_in_it() -> None:
    right = MergePane.rows

    def losing(self: MergePane, series=None):
        rows = right(self, series)
        return rows if series is not None or len(rows) < 2 else picked(rows, np.arange(1, len(rows)))

    with mock.patch.object(MergePane, "rows", losing):
        assert "unaccounted in merge" in findings([])


def test_a_minute_that_never_hears_of_its_panes_is_seen() -> None:
    with mock.patch.object(Coarse, "feed", return_value=None):
        found = findings([])
    assert "cells of 60000 ms" in found
    assert "cells of 10000 ms" not in found


def test_a_delivery_that_the_outbox_loses_shows_in_notify() -> None:
    right, calls = Lane.add, itertools.count()

    def losing(self: Lane, entry) -> None:
        if next(calls) % 3 != 1:
            right(self, entry)

    with mock.patch.object(Lane, "add", losing):
        assert "unaccounted in notify" in findings([])


def test_a_notification_that_never_reaches_the_outbox_shows_in_notify() -> None:
    right, calls = Outbox.offer, itertools.count()

    def losing(self: Outbox, records, now_ms) -> None:
        right(self, [record for record in records if next(calls) % 3 != 1], now_ms)

    with mock.patch.object(Outbox, "offer", losing):
        assert "unaccounted in notify" in findings([])


def test_measurements_that_the_aggregate_drops_uncounted_show_in_it() -> None:
    right = Aggregate._count

    def losing(self: Aggregate, chunk, kind, start_ms, rows) -> None:
        if start_ms % 30_000:
            right(self, chunk, kind, start_ms, rows)

    with mock.patch.object(Aggregate, "_count", losing):
        assert "unaccounted in aggregate" in findings([])
