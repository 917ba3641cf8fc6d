"""The back-off schedule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.retry import Backoff


@given(st.text(max_size=8), st.integers(-1, 10_000), st.none() | st.integers(0, 10**7), st.integers(0, 9))
def test_a_wait_is_within_its_bounds(key: str, attempt: int, after_ms: int | None, seed: int) -> None:
    backoff = Backoff(1_000, 60_000, seed)
    bound, wait = backoff.bound_ms(attempt), backoff.wait_ms(key, attempt, after_ms)
    assert wait >= bound // 2
    assert wait <= max(bound, (after_ms or 0) + bound // 10)
    assert after_ms is None or wait >= after_ms
    assert wait == Backoff(1_000, 60_000, seed).wait_ms(key, attempt, after_ms)


def test_the_bound_doubles_up_to_its_most() -> None:
    assert [Backoff(1_000, 10_000).bound_ms(attempt) for attempt in range(1, 7)] == [
        1_000,
        2_000,
        4_000,
        8_000,
        10_000,
        10_000,
    ]


def test_jitter_spreads_a_crowd() -> None:
    waits = [Backoff(seed=1).wait_ms(f"n{number}", 6) for number in range(1_000)]
    assert len({wait // 1_000 for wait in waits}) >= 15
    assert 20_000 < sum(waits) / len(waits) < 27_000  # 16 s to 32 s
