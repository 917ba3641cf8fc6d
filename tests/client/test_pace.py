"""Pace: a random start after an outage, and no more than the rate."""

from __future__ import annotations

from tocsin.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_starts_at_a_random_moment_and_anew_after_each_outage() -> None:
    clock = Clock()
    draws = iter([0.5, 0.1])
    pace = Pace(0.0, 10.0, lambda: next(draws), clock)
    assert not pace.allows()
    clock.now = 104.9
    assert not pace.allows()
    clock.now = 105.0
    assert pace.allows()
    pace.outage()
    assert not pace.allows()
    clock.now = 106.0
    assert pace.allows()


def test_no_more_bytes_than_the_rate() -> None:
    clock = Clock()
    pace = Pace(1_000.0, 0.0, lambda: 0.0, clock)
    sent = 0
    for _ in range(1_000):
        while pace.allows():
            pace.spend(300)
            sent += 300
        clock.now += 0.01
    assert 10_000 <= sent <= 11_600, "ten seconds, and a burst of one at the start"


def test_without_a_rate_nothing_is_held_back() -> None:
    pace = Pace(0.0, 0.0, lambda: 0.9, Clock())
    for _ in range(100):
        assert pace.allows()
        pace.spend(10**9)
