"""Recorder: the hot path takes or counts, and never raises."""

from __future__ import annotations

import decimal
import threading

import pytest
from tocsin import limits
from tocsin.recorder import NO_OUTCOME, Recorder, Tally


def recorder(capacity: int = 1000) -> Recorder:
    made = Recorder(capacity, 4096, lambda: made.settle(0))
    return made


class Hostile:
    """A number whose every operation raises."""

    def __lt__(self, other: object) -> bool:
        raise RuntimeError("hostile")

    __gt__ = __le__ = __ge__ = __lt__

    def __float__(self) -> float:
        raise RuntimeError("hostile")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "not_a_number"),
        (float("inf"), "too_big"),
        (float("-inf"), "too_big"),
        (limits.VALUE_BOUND, "too_big"),
        (-limits.VALUE_BOUND, "too_big"),
        (2**70, "too_big"),
        ("12", "type"),
        (None, "type"),
        (1j, "type"),
        (Hostile(), "type"),
    ],
)
def test_bad_values_are_refused_by_reason(value: float, reason: str) -> None:
    rec = recorder()
    rec.put(0, value, NO_OUTCOME, None, None)
    assert rec.rows == []
    assert rec.refused == {reason: 1}


@pytest.mark.parametrize("value", [0, True, 1.5, -3, decimal.Decimal("2.5"), limits.VALUE_BOUND - 1])
def test_real_numbers_become_floats(value: float) -> None:
    rec = recorder()
    rec.put(0, value, NO_OUTCOME, 5, None)
    assert rec.rows == [(0, 5, float(value), NO_OUTCOME, b"")]
    assert type(rec.rows[0][2]) is float


@pytest.mark.parametrize("time_ms", [-1, limits.TIME_BOUND_MS, float("nan")])
def test_times_out_of_range_are_refused(time_ms: int) -> None:
    rec = recorder()
    rec.put(0, 1.0, NO_OUTCOME, time_ms, None)
    assert rec.refused == {"time": 1}


def test_the_newest_is_refused_when_full_and_order_is_kept() -> None:
    rec = recorder(capacity=3)
    for value in range(5):
        rec.put(0, value, NO_OUTCOME, 1, None)
    assert [row[2] for row in rec.rows] == [0.0, 1.0, 2.0]
    assert rec.refused == {"full": 2}


def test_what_is_held_by_the_pump_takes_room() -> None:
    rec = recorder(capacity=3)
    for value in range(3):
        rec.put(0, value, NO_OUTCOME, 1, None)
    assert len(rec.take(2)) == 2
    rec.put(0, 9, NO_OUTCOME, 1, None)
    assert rec.refused == {"full": 1}
    rec.settle(2)
    rec.put(0, 9, NO_OUTCOME, 1, None)
    assert [row[2] for row in rec.rows] == [2.0, 9.0]


def test_bad_trace_ids_cost_the_trace_only() -> None:
    rec = recorder()
    for trace in ("0" * 32, b"\1" * 16, "xyz", b"short", 7):
        rec.put(0, 1.0, 0, 1, trace)  # type: ignore[arg-type]
    assert [row[4] for row in rec.rows] == [bytes(16), b"\1" * 16, b"", b"", b""]
    assert rec.refused == {"trace": 3}


def test_counters_add_up_and_negative_amounts_are_refused() -> None:
    rec = recorder()
    tally = Tally(3)
    rec.tallies.append(tally)
    for amount in (1, 2.5, -1, float("nan"), float("inf"), "x"):
        rec.add(tally, amount, None)  # type: ignore[arg-type]
    rec.add(tally, 4, 77)
    rec.close_tallies()
    assert [(row[0], row[2]) for row in rec.rows] == [(3, 4.0), (3, 3.5)]
    assert rec.rows[0][1] == 77
    assert rec.refused == {"negative": 1, "not_a_number": 1, "too_big": 1, "type": 1}


def test_a_sum_beyond_the_bound_is_sent_in_parts() -> None:
    rec = recorder()
    tally = Tally(0)
    rec.tallies.append(tally)
    half = limits.VALUE_BOUND / 2
    for _ in range(3):
        rec.add(tally, half, None)
    rec.close_tallies()
    assert [row[2] for row in rec.rows] == [half, half, half]


def test_threads_lose_nothing() -> None:
    rec = recorder(capacity=100_000)
    tally = Tally(1)
    rec.tallies.append(tally)

    def work() -> None:
        for _ in range(5_000):
            rec.put(0, 1.0, NO_OUTCOME, 1, None)
            rec.add(tally, 1, None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    taken = 0
    while any(thread.is_alive() for thread in threads):
        taken += len(rec.take(100))
    rec.close_tallies()
    rows = rec.take(100_000)
    assert taken + sum(1 for row in rows if row[0] == 0) == 20_000
    assert rows[-1][2] == 20_000.0
