"""The worker's time: it goes on whatever becomes of the wall clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import selfmetrics
from streams.clock import SteadyClock, steady
from streams.limits import CLOCK_SLEW

HOUR = 3_600.0


class Machine:
    """A wall clock that can be set, and a steady one that cannot."""

    def __init__(self) -> None:
        self.s, self.set_s = 100.0, 1_800_000_000.0
        self.clock = SteadyClock(lambda: self.s + self.set_s, lambda: self.s)

    def after(self, seconds: float) -> float:
        self.s += seconds
        return self.clock.now()

    @property
    def wall(self) -> float:
        return self.s + self.set_s


def test_it_is_the_wall_clock_while_nobody_sets_it() -> None:
    machine = Machine()
    for _ in range(10):
        assert machine.after(0.25) == pytest.approx(machine.wall)


@pytest.mark.parametrize("step_s", [-2 * HOUR, -30.0, 30.0, 2 * HOUR])
def test_a_wall_clock_that_is_set_moves_no_interval_by_more_than_a_tenth(step_s: float) -> None:
    machine = Machine()
    before = machine.after(1.0)
    machine.set_s += step_s
    for _ in range(20):
        now = machine.after(1.0)
        assert 1.0 - CLOCK_SLEW - 1e-6 <= now - before <= 1.0 + CLOCK_SLEW + 1e-6
        before = now


def test_it_is_drawn_towards_the_wall_clock_and_stays_there() -> None:
    machine = Machine()
    machine.set_s -= 30.0
    for _ in range(310):
        now = machine.after(1.0)
    assert now == pytest.approx(machine.wall)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(-1e5, 1e5)), max_size=30))
def test_it_never_goes_back(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    before = machine.after(0.0)
    for passed, step_s in steps:
        machine.set_s += step_s
        now = machine.after(passed)
        assert now >= before
        before = now


def test_a_steady_clock_that_goes_back_is_not_believed() -> None:
    machine = Machine()
    before = machine.after(1.0)
    assert machine.after(-5.0) >= before


def count(direction: str) -> float:
    return selfmetrics.CLOCK_STEPS.labels(direction)._value.get()


def test_a_wall_clock_that_was_set_is_counted_once_and_its_distance_is_shown() -> None:
    machine = Machine()
    machine.after(1.0)
    before = count("back"), count("forward")
    machine.set_s -= HOUR
    for _ in range(5):
        machine.after(1.0)
    assert (count("back"), count("forward")) == (before[0] + 1, before[1])
    assert selfmetrics.CLOCK_AHEAD._value.get() == pytest.approx(-HOUR, rel=0.001)
    machine.set_s += HOUR
    machine.after(1.0)
    assert (count("back"), count("forward")) == (before[0] + 1, before[1] + 1)


def test_milliseconds_are_those_of_the_same_clock() -> None:
    machine = Machine()
    assert machine.clock.now_ms() == int(machine.wall * 1000)


def test_the_machine_has_a_steady_clock() -> None:
    first = steady()
    assert steady() >= first > 0.0
