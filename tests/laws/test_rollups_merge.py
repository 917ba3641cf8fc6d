"""The law of the merge: the truth of all source partitions, whatever was repeated, cut, killed or forgotten on the way.

What: source partitions in plain Python write partials, are killed, restored from older snapshots and go on from there,
with zombies of themselves writing on; the merge reads that log, is drained anywhere, and is itself killed and restored
anywhere. Whoever keeps the highest revision must end with exactly what was measured. It refuses tolerance.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups import merge_state
from rollups.merge import Merge, MergeStep
from rollups.merge_limits import MergeLimits
from schemas.records import PartialBatch
from tests.rollups.partials import LATENESS, SERIES, T0, UNIT, Point, Reader, Writer, truth

SOURCES = 3
HOUR_MS = 3_600_000

points = st.builds(
    Point,
    series=st.integers(0, len(SERIES) - 1),
    time_ms=st.integers(0, 400_000).map(lambda ms: T0 - 200_000 + ms),
    value=st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: value + 0.0),
    good=st.booleans(),
    event_id=st.integers(0, 2**64 - 1),
)
logs = st.lists(st.lists(points, max_size=25), min_size=SOURCES, max_size=SOURCES)
chances = st.integers(0, 2**32).map(random.Random)


def history(log_of: list[list[Point]], chance: random.Random) -> list[PartialBatch]:
    """A log of partials: each source partition's writers cut, crash, and live on as zombies."""
    writers = [[Writer(source)] for source in range(SOURCES)]  # the last one is the owner
    saved = [[Writer(source)] for source in range(SOURCES)]
    out: list[PartialBatch] = []
    now_ms = T0
    for _ in range(chance.randrange(10, 60)):
        source = chance.randrange(SOURCES)
        now_ms += chance.choice((0, 500, 5_000))
        act = chance.random()
        if act < 0.15:  # the owner is killed, or only believed to be dead
            successor = chance.choice(saved[source]).copy()
            writers[source] = [*(writers[source] if chance.random() < 0.5 else []), successor][-3:]
        writer = chance.choice(writers[source])
        through = min(len(log_of[source]) - 1, writer.fence + chance.randrange(8))
        idle = chance.choice((0, 0, 0, 3_000, 40_000))
        out.append(writer.write(log_of[source], through, now_ms, idle))
        if chance.random() < 0.5:
            saved[source].append(writer.copy())
        if chance.random() < 0.2:
            out.append(chance.choice(out))
    out += [writers[source][-1].write(log_of[source], len(log_of[source]) - 1, now_ms) for source in range(SOURCES)]
    for later in (60_000, 120_000, 3 * HOUR_MS):
        for owner in (writers[source][-1] for source in range(SOURCES)):
            owner.newest = [max(newest, T0) for newest in owner.newest]
            out.append(
                owner.write(
                    log_of[owner.source],
                    len(log_of[owner.source]) - 1,
                    now_ms + later,
                    idle_ms=min(later, 3 * HOUR_MS),
                    everywhere=True,
                )
            )
    return out


def read(partials: list[PartialBatch], chance: random.Random, reader: Reader) -> Counter[tuple[int, int, str]]:
    """Merge a log with drains, kills and restores at random. Answers the sums of the SLO deltas."""
    limits = MergeLimits(emit_every_ms=chance.choice((0, 2_000)), max_open_rows=chance.choice((3, 1_000_000)))

    def fresh() -> Merge:
        return Merge(0, SOURCES, LATENESS, limits)

    merge, slo = fresh(), Counter[tuple[int, int, str]]()
    saved = (merge_state.snapshot(merge), slo.copy())
    kills = chance.randrange(4)
    while merge.fence + 1 < len(partials):
        count(slo, merge.apply(partials[merge.fence + 1], merge.fence + 1))
        if chance.random() < 0.4:
            reader.read(merge.drain())
        if chance.random() < 0.2:
            saved = (merge_state.snapshot(merge), slo.copy())
        if kills and chance.random() < 0.1:
            kills -= 1
            merge, slo = fresh(), saved[1].copy()
            merge_state.restore(merge, saved[0])
    reader.read(merge.drain())
    return slo


def count(slo: Counter[tuple[int, int, str]], step: MergeStep) -> None:
    deltas = step.slo
    rows = zip(deltas.group.tolist(), deltas.pane_ms.tolist(), deltas.good.tolist(), deltas.total.tolist(), strict=True)
    for group, pane_ms, good, total in rows:
        slo[group, pane_ms, "good"] += good
        slo[group, pane_ms, "total"] += total


def measured(log_of: list[list[Point]]) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for log in log_of:
        for point in log:
            pane = point.time_ms // 10_000 * 10_000
            found[pane, "good"] += point.good * UNIT
            found[pane, "total"] += UNIT
    return found


@settings(max_examples=150, deadline=None)
@given(logs, chances)
def test_the_highest_revision_is_the_truth(log_of, chance):
    partials = history(log_of, chance)
    reader = Reader()
    slo = read(partials, chance, reader)
    assert reader.final() == truth(log_of)
    assert +Counter({(pane, what): value for (_, pane, what), value in slo.items()}) == +measured(log_of)
    # another reading of the same log, by someone who knew the first: revisions agree
    read(partials, chance, reader)
    assert reader.final() == truth(log_of)


@settings(max_examples=60, deadline=None)
@given(logs, chances)
def test_a_snapshot_changes_nothing(log_of, chance):
    partials = history(log_of, chance)
    one, other = Merge(1, SOURCES, LATENESS), Merge(1, SOURCES, LATENESS)
    for offset, partial in enumerate(partials):
        one.apply(partial, offset)
        other.apply(partial, offset)
        if chance.random() < 0.3:
            data = merge_state.snapshot(other)
            other = Merge(1, SOURCES, LATENESS)
            merge_state.restore(other, data)
            assert merge_state.snapshot(other) == data
        if chance.random() < 0.3:
            same(one.drain(), other.drain())
    same(one.drain(), other.drain())
    assert one.counters == other.counters


def same(one: list[object], other: list[object]) -> None:
    assert len(one) == len(other)
    for here, there in zip(one, other, strict=True):
        for field in dataclasses.fields(here):
            if field.name != "cells":
                assert getattr(here, field.name) == getattr(there, field.name)
        assert here.cells.columns() == there.cells.columns()


@settings(max_examples=60, deadline=None)
@given(logs, chances)
def test_source_partitions_may_come_in_any_order(log_of, chance):
    """Whatever was interleaved how, the final values are the same, though revisions differ."""
    partials = history(log_of, chance)
    by_source = [[partial for partial in partials if partial.partition == source] for source in range(SOURCES)]
    shuffled: list[PartialBatch] = []
    while any(by_source):
        shuffled.append(chance.choice([waiting for waiting in by_source if waiting]).pop(0))
    # corrections rest, and idle time is believed, only as far as the log's time moves on
    end_ms = max(partial.now_ms for partial in shuffled)
    for later in (3 * HOUR_MS, 4 * HOUR_MS):
        last = {partial.partition: partial for partial in shuffled}
        shuffled += [dataclasses.replace(partial, now_ms=end_ms + later) for partial in last.values()]
    reader = Reader()
    read(shuffled, chance, reader)
    assert reader.final() == truth(log_of)


def test_the_numbers_of_batches_hold_kinds_apart():
    log = [Point(0, T0, 1.0), Point(2, T0, 1.0)]
    merge, writer, reader = Merge(0, 1, LATENESS), Writer(0), Reader()
    merge.apply(writer.write(log, 1, T0), 0)
    merge.apply(writer.write(log, 1, T0 + 120_000, idle_ms=120_000), 1)
    reader.read(merge.drain())
    assert len(reader.keys) == 4
    assert set(reader.keys.values()) == {1}
    assert np.all([number >= 0 for *_, number in reader.keys])
