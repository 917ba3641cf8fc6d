"""What an aggregate says lies in its closed panes is what the merge of its partials finds, or the difference is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rollups import merge_state
from rollups.aggregate import Aggregate
from rollups.aggregate_state import restore, snapshot
from rollups.claims import OUT, SLO, Claim, Claims, Owing, read
from rollups.cut import silent
from rollups.limits import CLAIM_REPEATS_MS, FIXED_POINT, MAX_CLAIMS
from rollups.merge import Merge
from rollups.merge_limits import MergeLimits
from rollups.pane_table import MergePane
from rollups.plain import selected
from rollups.sound import Soundness
from schemas import codec
from schemas.corrupt import CorruptRecord
from schemas.records import PartialBatch
from tests.rollups.telemetry import T0, Record, Row, measurements, no_feeds, series, some_feeds

A, B = series("a"), series("b")
NOW = T0 + 60_000


class Path:
    """An aggregate and the merge of its partials; partials may get lost between them."""

    def __init__(self, feeds=no_feeds, limits: MergeLimits | None = None) -> None:
        self.aggregate = Aggregate(0, 1, feeds)
        self.merge = Merge(0, 1, limits=limits)
        self.now_ms, self.offset, self.place = NOW, 0, 0

    def send(self, *times: int, of=A) -> None:
        rows = tuple(Row(of, T0 + time_ms, 1.0, 1) for time_ms in times)
        record = Record(self.place, NOW, rows, sequence=self.place + 1)
        self.aggregate.apply(measurements([record], self.aggregate.resolve), self.place)
        self.place += 1

    def drain(self, after_ms: int = 500) -> PartialBatch | None:
        self.now_ms += after_ms
        self.aggregate.tick(self.now_ms, caught_up=False)
        return self.aggregate.drain().partials.get(0)

    def pass_on(self, batch: PartialBatch | None) -> None:
        if batch is not None:
            assert codec.decode(codec.encode(batch)).claims == batch.claims
            Soundness(1).check(batch)
            self.merge.apply(batch, self.offset)
            self.offset += 1
        self.merge.drain()

    @property
    def owing(self) -> dict[tuple[int, int, int], int]:
        return {(source, kind, pane_ms - T0): owed for (source, kind, pane_ms), owed in self.merge.owing}


def closed(path: Path) -> PartialBatch | None:
    """The partial in which the first pane leaves with three measurements of two series."""
    path.send(1, 2)
    path.send(3, of=B)
    path.send(30_000)
    return path.drain()


def test_what_arrives_is_what_was_claimed() -> None:
    path = Path(some_feeds)
    batch = closed(path)
    assert batch is not None
    assert Claim(0, T0, 3) in read(batch.claims)
    assert {claim.kind for claim in read(batch.claims)} == {0, SLO}
    path.pass_on(batch)
    path.send(5)
    path.pass_on(path.drain())
    assert (path.owing, path.merge.owing.measurements) == ({}, 0)


def test_a_partial_that_is_lost_is_owed_by_pane_until_it_is_sent_again() -> None:
    path = Path()
    saved = snapshot(path.aggregate)
    closed(path)  # lost
    heartbeat = path.drain(1_500)
    assert heartbeat is not None
    assert len(heartbeat.cells) == 0
    path.pass_on(heartbeat)
    assert path.owing == {(0, 0, 0): 3}
    assert path.merge.owing.measurements == 3
    path.aggregate = Aggregate(0, 1, no_feeds)
    restore(path.aggregate, saved)
    path.place = 0
    path.pass_on(closed(path))
    assert path.owing == {}


def test_a_late_row_that_is_lost_is_owed_and_one_that_arrives_is_not() -> None:
    path = Path()
    path.pass_on(closed(path))
    path.send(5)
    path.drain()  # lost
    path.send(7)
    path.pass_on(path.drain())
    assert path.owing == {(0, 0, 0): 1}


def test_slo_cells_that_are_lost_are_owed_while_their_pane_is_still_open() -> None:
    path = Path(some_feeds)
    path.send(1, 2)
    path.drain()  # lost: each of the two feeds two groups
    path.send(30_000)
    path.pass_on(path.drain())
    assert path.owing[0, SLO, 0] == 4 * FIXED_POINT
    assert path.merge.owing.measurements == 4


def test_rows_that_came_from_nowhere_are_seen() -> None:
    path = Path()
    batch = closed(path)
    assert batch is not None
    path.pass_on(dataclasses.replace(batch, cells=selected(batch.cells, np.array([0, 1])), claims=(0, T0, 2)))
    assert path.owing == {(0, 0, 0): -1}
    assert path.merge.owing.measurements == 1


def test_a_worker_that_lies_behind_another_is_not_heard() -> None:
    path = Path()
    batch = closed(path)
    assert batch is not None
    path.pass_on(batch)
    path.pass_on(dataclasses.replace(batch, as_of=0, cells=selected(batch.cells, np.arange(0)), claims=(0, T0, 9)))
    assert path.owing == {}


def test_what_leaves_as_rollups_is_held_against_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    right = MergePane.rows

    def losing(self: MergePane, of=None):
        return selected(right(self, of), np.array([0]))

    monkeypatch.setattr(MergePane, "rows", losing)
    path = Path()
    path.pass_on(closed(path))
    assert [place for place, _ in path.merge.owing] == [(OUT, 0, T0)]


def test_rows_that_a_limit_refuses_are_counted_there_and_not_here() -> None:
    path = Path(some_feeds, MergeLimits(max_series=1, max_groups=1))
    path.pass_on(closed(path))
    assert path.merge.counters["refused_series"] == 1
    assert path.owing == {}


def test_a_claim_is_repeated_for_a_while_and_all_are_after_a_restart() -> None:
    path = Path()
    assert closed(path) is not None
    later = path.drain(1_000)
    assert later is not None
    assert (0, T0, 3) in read(later.claims)
    last = path.drain(CLAIM_REPEATS_MS)
    assert last is not None
    assert last.claims == ()
    again = Aggregate(0, 1, no_feeds)
    restore(again, snapshot(path.aggregate))
    path.aggregate = again
    after = path.drain(1_000)
    assert after is not None
    assert (0, T0, 3) in read(after.claims)


def test_a_clock_that_is_set_back_does_not_repeat_for_ever() -> None:
    claims = Claims(1)
    claims.set((0, T0), np.array([5], np.uint64), np.array([2]))
    assert claims.due(NOW) == [(0, T0)]
    assert claims.due(NOW - 3_600_000) == []


def test_panes_beyond_the_horizon_are_forgotten() -> None:
    claims = Claims(2)
    for pane in range(3):
        claims.add((1, T0 + pane * 10_000), np.array([4, 5, 5], np.uint64), np.array([1, 2, 3]))
    assert claims.of(1, [(1, T0)]) == (1, T0, 5)
    claims.drop_before(T0 + 15_000)
    assert list(claims.totals) == [(1, T0 + 20_000)]
    assert claims.due(NOW) == [(1, T0 + 20_000)]


def test_what_is_owed_survives_a_snapshot() -> None:
    path = Path()
    closed(path)
    path.pass_on(path.drain(1_500))
    other = Merge(0, 1)
    merge_state.restore(other, merge_state.snapshot(path.merge))
    assert list(other.owing) == list(path.merge.owing) != []
    owing = Owing()
    owing.excuse(3, np.array([T0, T0]))
    again = Owing()
    again.load(owing.columns())
    again.judge(3, Claim(0, T0, 5), 0)
    assert again.measurements == 0


def test_all_pieces_but_the_last_make_no_claims() -> None:
    batch = closed(Path())
    assert batch is not None
    assert silent(batch, batch.cells).claims == ()


@pytest.mark.parametrize("claims", [(0, T0), (9, T0, 1), (-1, T0, 1), (0, T0 + 1, 1), (0, -10_000, 1)])
def test_claims_that_cannot_be_are_refused(claims: tuple[int, ...]) -> None:
    batch = closed(Path())
    assert batch is not None
    with pytest.raises(CorruptRecord):
        Soundness(1).check(dataclasses.replace(batch, claims=claims))


def test_after_a_long_horizon_only_the_newest_panes_are_spoken_of() -> None:
    claims = Claims(1)
    for pane in range(MAX_CLAIMS + 3):
        claims.set((pane % 2, T0 + pane * 10_000), np.array([5], np.uint64), np.array([2]))
    due = claims.due(NOW)
    assert len(due) == MAX_CLAIMS
    assert due[0] == (1, T0 + 30_000)
