"""Lowering waits for the source partitions that feed a group; raising does not. Two source partitions, one behind."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.evaluate import Evaluator
from alerts.history import NEVER, History
from alerts.limits import HOLD_MS, LEVEL_MS, PANE_MS
from alerts.packing import pack, unpack
from schemas.records import SloGroup
from tests.alerts.simulate import START_MS, Simulation, config_of, only_rule, rows, slo_text, uneven

HOUR, MINUTE, SECOND = 3_600_000, 60_000, 1_000
FAST, SLOW = 0, 1


class Two(Simulation):
    """The page of an SLO of an hour (windows of 10 s); log time is told apart from event time."""

    def __init__(self) -> None:
        super().__init__(only_rule(config_of(slo_text(target="0.99", period="1h")), PANE_MS))
        self.reached = [START_MS, START_MS]
        self.now_ms = START_MS

    def tell(self, source: int, time_ms: int, good: float, total: float = 100.0) -> None:
        """Traffic of a second that ends at `time_ms`, from one source partition. Total 0: a heartbeat."""
        self.reached[source] = max(self.reached[source], time_ms)
        self.now_ms += 500
        deltas = rows((self.group, time_ms - 1, good, total)) if total else rows()
        self.step(*uneven(deltas, source, self.reached, self.now_ms))

    def both(self, start_s: int, end_s: int, good: float) -> None:
        for second in range(start_s + 1, end_s + 1):
            self.tell(FAST, START_MS + second * SECOND, good)
            self.tell(SLOW, START_MS + second * SECOND, good)

    def one(self, source: int, start_s: int, end_s: int, good: float, total: float = 100.0) -> None:
        for second in range(start_s + 1, end_s + 1):
            self.tell(source, START_MS + second * SECOND, good, total)

    @property
    def states(self) -> list[str]:
        return [transition.state for transition in self.transitions]


def burning() -> Two:
    """Both burn from 60 s to 90 s; the fast one has gone on alone, and well, to 150 s."""
    two = Two()
    two.both(0, 60, 100.0)
    two.both(60, 90, 0.0)
    assert two.states == ["firing"]
    two.one(FAST, 90, 150, 100.0)
    return two


def test_a_burn_that_one_source_partition_still_tells_of_pages_once() -> None:
    """
    fast  ····■■■■··········      the slow one tells of the same burn, a minute later, and it burns on there
    slow      ····■■■■■■■■····
    page          |firing------resolved
    """
    two = burning()
    assert two.states == ["firing"]
    two.one(SLOW, 90, 155, 0.0)
    assert two.states == ["firing"]
    two.both(155, 180, 100.0)
    assert two.states == ["firing", "resolved"]
    assert {transition.alert_id for transition in two.transitions} == {two.transitions[0].alert_id}


def test_it_resolves_at_the_moment_that_the_slow_one_has_reached() -> None:
    """The slow one needs not be level: what it has told to its own time is judged."""
    two = burning()
    two.one(SLOW, 90, 99, 100.0)
    assert two.states == ["firing"], "90 s to 99 s are not yet a whole short window without a burn"
    two.one(SLOW, 99, 121, 100.0)
    assert two.states == ["firing", "resolved"]


def test_raising_does_not_wait() -> None:
    two = Two()
    two.both(0, 60, 100.0)
    two.one(FAST, 60, 75, 0.0)
    assert two.states == ["firing"]
    assert two.transitions[0].event_ms < START_MS + 75 * SECOND


def test_what_the_slow_one_told_of_before_the_burn_does_not_lower_it() -> None:
    """The page is raised at 75 s; that nothing burned at 60 s, where the slow one is, says nothing about it."""
    two = Two()
    two.both(0, 60, 100.0)
    two.one(FAST, 60, 75, 0.0)
    two.one(FAST, 75, 100, 100.0)
    assert two.states == ["firing"]
    two.one(SLOW, 60, 74, 100.0)
    assert two.states == ["firing"]
    two.one(SLOW, 74, 100, 100.0)
    assert two.states == ["firing", "resolved"]


def test_a_source_partition_that_is_silent_moves_on_by_its_heartbeats() -> None:
    two = burning()
    assert two.evaluator.held() == {SLOW: 1}
    two.one(SLOW, 90, 121, 0.0, total=0.0)
    assert two.states == ["firing", "resolved"]
    assert two.evaluator.held() == {}


def test_one_that_says_nothing_at_all_holds_for_a_bounded_log_time() -> None:
    two = burning()
    held_ms, second = two.now_ms, 150
    while two.states == ["firing"] and two.now_ms < held_ms + 2 * HOLD_MS:
        second += 1
        two.one(FAST, second, second + 1, 100.0)
    assert two.states == ["firing", "resolved"]
    assert HOLD_MS - 60 * SECOND <= two.now_ms - held_ms <= HOLD_MS + 10 * SECOND
    assert two.evaluator.counters["lowered_unheard"] == 1


def test_the_bound_is_of_log_time_not_of_event_time() -> None:
    """A replay: the fast one is an hour of event time ahead after seconds. It is still waited for."""
    two = burning()
    for second in range(150, 3_600, 30):
        two.tell(FAST, START_MS + second * SECOND, 100.0)
    assert two.states == ["firing"]
    two.one(SLOW, 3_000, 3_600, 100.0)
    assert two.states == ["firing", "resolved"]


def test_a_source_partition_that_never_fed_the_group_holds_nothing() -> None:
    two = Two()
    two.one(FAST, 0, 60, 100.0)
    two.one(FAST, 60, 90, 0.0)
    two.step(*uneven(rows((SloGroup("web", 3, {}), START_MS, 1, 1)), SLOW, two.reached, two.now_ms))
    two.one(FAST, 90, 110, 100.0)
    assert two.states == ["firing", "resolved"]


def test_one_that_is_behind_by_less_than_two_seconds_is_level() -> None:
    """
    both  ····■■■····    resolved as soon as the short window says so, at the newest event time
    """
    two, level = Two(), Two()
    for each, behind_ms in ((two, LEVEL_MS), (level, 0)):
        each.both(0, 60, 100.0)
        each.both(60, 90, 0.0)
        for second in range(91, 120):
            each.tell(SLOW, START_MS + second * SECOND - behind_ms, 100.0)
            each.tell(FAST, START_MS + second * SECOND, 100.0)
    assert [t.event_ms for t in two.transitions][1] - [t.event_ms for t in level.transitions][1] <= SECOND


@pytest.mark.parametrize("cut", [150, 400, 500])
def test_a_restart_while_a_lowering_waits_changes_nothing(cut: int) -> None:
    def life(restarts: bool) -> tuple[list, bytes]:
        two = burning()
        for second in range(150, 600):
            two.one(FAST, second, second + 1, 100.0)
            if second % 7 == 0:
                two.tell(SLOW, two.reached[SLOW] + 100, 0.0)
            if restarts and second == cut:
                fresh = Evaluator(two.config, partition=0)
                fresh.restore(two.evaluator.snapshot())
                fresh.counters = two.evaluator.counters
                two.evaluator = fresh
        return two.transitions, two.evaluator.snapshot()

    assert life(True) == life(False)


def test_windows_of_an_earlier_moment_are_those_that_were_judged_then() -> None:
    """What `shares_at` says of a moment is what `shares` said when the group's time was there."""
    dice = np.random.default_rng(7)
    two = Two()
    two.tell(FAST, START_MS, 1.0, 1.0)
    history = History(two.evaluator.cohorts[0].layout)
    row = np.array([history.add_group()])
    said = {}
    for pane in range(700):
        now = np.array([START_MS + pane * PANE_MS])
        history.advance(row, now)
        said[pane] = history.shares(row, now)
        back = pane - int(dice.integers(0, HOLD_MS // PANE_MS + 1))
        if pane > 400:
            then = history.shares_at(row, np.array([START_MS + back * PANE_MS]))
            short = [at for at, ring in enumerate(history.layout.ring_of) if ring == 0]
            assert np.array_equal(then.total[:, short], said[back].total[:, short])
            assert np.array_equal(then.good[:, short], said[back].good[:, short])
            assert np.array_equal(then.measured[:, short], said[back].measured[:, short])
        total = dice.integers(0, 50, 1) << 20
        history.add(row, now, total // 2, total)
    nothing = history.shares_at(row, np.array([NEVER]))
    assert not nothing.total.any()


def test_rings_of_another_size_are_taken_over_bucket_by_bucket() -> None:
    """A snapshot of before rings grew: what both hold is there, and the sums go on as they were."""
    two = Two()
    two.both(0, 60, 99.0)
    cohort = two.evaluator.cohorts[0]
    arrays = dict(cohort.history.arrays())
    head = arrays["head"]
    for ring in range(len(cohort.layout.slots)):
        for name in (f"good{ring}", f"total{ring}"):
            less = arrays[name].shape[1] - 5
            buckets = np.arange(int(head[0, ring]) - less + 1, int(head[0, ring]) + 1)
            smaller = np.zeros((1, less), np.int64)
            smaller[0, buckets % less] = arrays[name][0, buckets % arrays[name].shape[1]]
            arrays[name] = smaller
    other = History(cohort.layout)
    other.take_over(other.add_group(), arrays, 0)
    assert np.array_equal(other.sums(np.array([0])).total, cohort.history.sums(np.array([0])).total)
    assert np.array_equal(other.recomputed(0).total, cohort.history.recomputed(0).total)


def test_a_burn_that_only_a_lagging_source_partition_saw_pages() -> None:
    """
    fast  ··················     it is a minute ahead when the slow one begins to tell of a burn that is over by then
    slow      ····■■■■······
    page                  |firing-resolved
    """
    two = Two()
    two.both(0, 60, 100.0)
    two.one(FAST, 60, 150, 100.0)
    two.one(SLOW, 60, 90, 0.0)
    assert two.states == ["firing"]
    page = two.transitions[0]
    assert page.burn[0].exceeded
    assert page.burn[0].short_total - page.burn[0].short_good > 0, "it says what it was judged by"
    two.one(SLOW, 90, 150, 100.0)
    assert two.states == ["firing", "resolved"]


def test_such_a_burn_pages_when_all_of_it_comes_in_one_record_too() -> None:
    two = Two()
    two.both(0, 60, 100.0)
    two.one(FAST, 60, 150, 100.0)
    two.reached[SLOW] = START_MS + 150 * SECOND
    burst = [(two.group, START_MS + at * SECOND, 0.0 if at < 90 else 1000.0, 1000.0) for at in range(60, 150, 10)]
    two.step(*uneven(rows(*burst), SLOW, two.reached, two.now_ms))
    two.both(150, 160, 100.0)
    assert two.states == ["firing", "resolved"]


def test_catching_up_without_a_burn_pages_nobody() -> None:
    two = Two()
    two.both(0, 60, 100.0)
    two.one(FAST, 60, 150, 90.0)
    two.one(SLOW, 60, 150, 90.0)
    assert two.states == []


def test_a_snapshot_of_before_lowering_waited_is_read() -> None:
    two = burning()
    texts, arrays = unpack(two.evaluator.snapshot())
    new = {"exceeded", "fed", "col_held_ms", "col_held_for", "col_complete_ms", "col_behind_ms"}
    old = pack(texts, {name: array for name, array in arrays.items() if name.partition("/")[2] not in new})
    fresh = Evaluator(two.config, partition=0)
    fresh.restore(old)
    two.evaluator = fresh
    two.one(FAST, 150, 152, 100.0)
    two.one(SLOW, 90, 155, 0.0)
    two.both(155, 180, 100.0)
    assert two.states[0] == "firing"
    assert two.states[-1] == "resolved"
