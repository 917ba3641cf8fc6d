"""Rates out of samples of a counter that moves in steps.

What: the middle of a run, on made-up samples. Why: a rate that counts start-up, or the wait before a step, is another
figure. It refuses to start workers.
"""

from __future__ import annotations

import pytest

from bench.throughput import changes, middle_rate


def steps(rate: float, step_s: float, until_s: float, sampled_s: float = 0.1) -> list[tuple[float, float]]:
    """A counter that moves each `step_s`, looked at each `sampled_s`."""
    times = [round(at * sampled_s, 6) for at in range(int(until_s / sampled_s) + 1)]
    return [(at, (at + 1e-9) // step_s * step_s * rate) for at in times]


def test_only_samples_at_which_the_count_moved_are_kept():
    assert changes([(0, 0), (1, 0), (2, 5), (3, 5), (4, 6)]) == [(0, 0), (2, 5), (4, 6)]


def test_steps_do_not_bend_the_rate():
    samples = steps(1_000, 0.5, 20)
    assert middle_rate(samples, 5_000, 19_400) == pytest.approx(1_000)


def test_start_up_is_left_out():
    samples = [(at + 7.0, count) for at, count in steps(1_000, 0.5, 20)]
    assert middle_rate([(0.0, 0.0), *samples], 5_000, 19_400) == pytest.approx(1_000)


def test_a_slow_beginning_is_left_out_and_a_slow_middle_is_not():
    slow = [(0.0, 0.0), (10.0, 100.0), (11.0, 200.0), (12.0, 300.0)]
    assert middle_rate(slow, 100, 300) == pytest.approx(100)
    assert middle_rate(slow, 0, 300) == pytest.approx(25)


def test_a_load_that_one_step_takes_is_refused():
    with pytest.raises(ValueError, match="too small"):
        middle_rate([(0.0, 0.0), (1.0, 1_000.0)], 250, 970)
