"""The breaker's three states."""

from __future__ import annotations

from sinks.breaker import Breaker


def failing(times: int, now_ms: int = 0) -> Breaker:
    breaker = Breaker(3, 1_000, 4_000)
    for _ in range(times):
        breaker.began()
        breaker.failed(now_ms)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    assert failing(2).allows(0)
    assert not failing(3).allows(999)
    breaker = failing(2)
    breaker.succeeded()
    breaker.failed(0)
    assert breaker.allows(0)


def test_half_open_lets_one_through() -> None:
    breaker = failing(3)
    assert breaker.allows(1_000)
    breaker.began()
    assert not breaker.allows(1_000)
    breaker.succeeded()
    assert breaker.closed
    assert breaker.allows(1_000)


def test_each_failed_probe_doubles_the_time_up_to_its_most() -> None:
    breaker, now, waits = failing(3), 0, []
    for _ in range(4):
        waits.append(breaker.until_ms - now)
        now = breaker.until_ms
        breaker.began()
        assert not breaker.failed(now)
    assert waits == [1_000, 2_000, 4_000, 4_000]


def test_failures_of_what_was_under_way_do_not_count_as_probes() -> None:
    breaker = failing(3)
    breaker.failed(500)
    assert breaker.until_ms == 1_000
