"""Hot: the fast path and the recorder's own take the same things, and neither ever raises."""

from __future__ import annotations

import pytest
from tocsin import Client, MemoryTransport, limits, within_trace
from tocsin.recorder import FOLD

PLAIN = [0.0, -1.5, limits.VALUE_BOUND / 2]
ODD: list[object] = [1, True, float("nan"), float("inf"), -limits.VALUE_BOUND, "x", None, 1j, object(), [1.0]]


def client() -> Client:
    made = Client(source="s", service="x", transport=MemoryTransport(), flush_interval=3600, report=False)
    made.gauge("first").set(1.0)  # from now on there is room, and the fast path is open
    made.flush(1)
    return made


@pytest.mark.parametrize("value", PLAIN + ODD, ids=repr)
def test_both_paths_agree(value: float) -> None:
    fast, slow = client(), client()
    fast.gauge("g").set(value)
    fast.histogram("h").record(value)
    fast.outcome("o").observe(True, value)
    slow.gauge("g").set(value, 5)
    slow.histogram("h").record(value, 5)
    slow.outcome("o").observe(True, value, None, 5)
    kept = [[(row[0], row[2], row[3], row[4]) for row in made._recorder.rows] for made in (fast, slow)]
    assert kept[0] == kept[1]
    assert fast._recorder.refused == slow._recorder.refused
    assert len(kept[0]) + sum(fast._recorder.refused.values()) == 3
    fast.close()
    slow.close()


@pytest.mark.parametrize("value", PLAIN + ODD, ids=repr)
def test_a_look_for_a_trace_takes_and_refuses_the_same(value: float) -> None:
    plain, armed = client(), client()
    for made in (plain, armed):
        record, observe = made.histogram("h").record, made.outcome("o").observe
        if made is armed:
            for peak in made._recorder.peaks.values():
                peak.high = -limits.VALUE_BOUND
        with within_trace("00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"):
            for _ in range(2):
                record(value)
                observe(True, value)
    kept = [[(row[0], row[2], row[3]) for row in made._recorder.rows] for made in (plain, armed)]
    assert kept[0] == kept[1]
    assert plain._recorder.refused == armed._recorder.refused
    traced = [bool(row[4]) for row in armed._recorder.rows]
    assert traced == [True, True, False, False][: len(traced)]
    plain.close()
    armed.close()


@pytest.mark.parametrize("amount", [*PLAIN, *ODD, 2**70, -1], ids=repr)
def test_both_paths_of_a_counter_agree(amount: float) -> None:
    fast, slow = client(), client()
    fast.counter("c").add(amount)
    tally = slow._recorder.tallies
    slow.counter("c")
    slow._recorder.add(tally[0], amount, None)
    fast._recorder.fold(fast._recorder.tallies[0])
    assert fast._recorder.tallies[0].pending == tally[0].pending
    assert fast._recorder.refused == slow._recorder.refused
    fast.close()
    slow.close()


def test_amounts_are_added_up_before_they_are_many() -> None:
    made = client()
    counter = made.counter("c")
    for _ in range(10 * FOLD):
        counter.add(2)
    (tally,) = made._recorder.tallies
    assert len(tally.amounts) <= FOLD
    made._recorder.fold(tally)
    assert (tally.pending, tally.amounts) == (20.0 * FOLD, [])
    made.close()


def test_amounts_beyond_the_bound_together_are_sent_in_parts() -> None:
    made = client()
    half = limits.VALUE_BOUND / 2
    for _ in range(3):
        made.counter("c").add(half)
    made._recorder.close_tallies()
    assert [row[2] for row in made._recorder.rows] == [half, half, half]
    made.close()


def test_the_fast_path_wakes_the_pump_when_a_batch_is_full() -> None:
    made = Client(source="s", service="x", transport=MemoryTransport(), flush_interval=3600, batch_size=10)
    gauge = made.gauge("g")
    assert made._recorder.wakeups.empty()
    rows, wakeups = made._recorder.rows, made._recorder.wakeups
    made._recorder.start = lambda: made._recorder.settle(0)  # no thread: what wakes it stays visible
    for value in range(25):
        gauge.set(float(value))
    assert len(rows) == 25
    assert wakeups.qsize() == 2
    made.close()


def test_a_truth_that_raises_is_counted() -> None:
    class Hostile:
        def __bool__(self) -> bool:
            raise RuntimeError("hostile")

    made = client()
    made.outcome("o").observe(Hostile(), 1.0)  # type: ignore[arg-type]
    assert made.stats.refused == {"type": 1}
    made.close()
