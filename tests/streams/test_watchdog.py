"""The watchdog on stand-ins and a clock of its own: what is stuck, what only looks like it."""

import types

import pytest

from streams import errors, watchdog
from streams.limits import LOOP_DEAD_S
from streams.watchdog import Watchdog


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Stage:
    name, topic = "aggregate", "telemetry"

    def __init__(self) -> None:
        self.held = {0: types.SimpleNamespace(step=types.SimpleNamespace(fence=10))}
        self.assigned, self.checkpoint_since, self.lag = frozenset({0}), None, 5

    def behind(self, partition):
        return self.lag


def app(**facts) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{"should_stop": False, "rebalancing": False, "consumer": None, **facts})


@pytest.fixture
def world(monkeypatch):
    made = types.SimpleNamespace(clock=Clock(), stage=Stage(), app=app(), end=(0, 11), ended=[])

    async def end_of_log(app, topic, partition):
        if isinstance(made.end, Exception):
            raise made.end
        return made.end

    monkeypatch.setattr(watchdog, "end_of_log", end_of_log)
    made.dog = Watchdog(made.app, [made.stage], 30.0, made.clock, slow_after_s=50.0)
    made.dog.ends = lambda code, reason: made.ended.append((code, reason))
    return made


async def after(world, seconds: float) -> str:
    await world.dog.stuck()
    world.clock.now += seconds
    return await world.dog.stuck()


async def test_a_fence_that_stands_still_below_its_end_is_stuck(world):
    assert await after(world, 29) == ""
    assert "telemetry[0] stands at 10, 5 behind" in await after(world, 2)


async def test_progress_is_healthy_however_far_behind(world):
    for _ in range(5):
        assert await after(world, 29) == ""
        world.stage.held[0].step.fence += 1


async def test_a_consumer_that_sees_no_end_is_checked_against_the_brokers(world):
    world.stage.lag = 0
    world.end = (0, 500)
    assert "489 behind" in await after(world, 31)


async def test_an_idle_partition_is_healthy(world):
    world.stage.lag = 0
    world.end = (0, 11)
    assert await after(world, 31) == ""
    world.end = (11, 11)
    assert await after(world, 31) == ""


async def test_a_broker_that_does_not_answer_is_not_the_workers_fault(world):
    world.stage.lag, world.end = 0, TimeoutError()
    assert await after(world, 31) == ""


async def test_a_rebalance_is_no_standstill(world):
    world.app.rebalancing = True
    assert await after(world, 31) == ""


def test_an_assigned_partition_that_is_never_restored(world):
    world.stage.assigned = frozenset({0, 1})
    assert world.dog.slow() == ""
    world.clock.now += 51
    assert "telemetry[1] is assigned and has not been restored" in world.dog.slow()
    world.stage.held[1] = world.stage.held[0]
    assert world.dog.slow() == ""
    del world.stage.held[1]
    assert world.dog.slow() == ""  # counted from anew


def test_a_checkpoint_that_never_ends(world):
    world.stage.checkpoint_since = world.clock.now
    world.clock.now += 49
    assert world.dog.slow() == ""
    world.clock.now += 2
    assert "a checkpoint has taken 51 s" in world.dog.slow()


def test_a_loop_that_stands_still_is_ended_from_beside(world):
    world.clock.now += LOOP_DEAD_S
    world.dog.judge_loop()
    assert world.ended == []
    world.clock.now += 1
    world.dog.judge_loop()
    assert world.ended[0][0] == errors.EXIT_RESTART


def test_a_worker_that_was_told_to_stop_and_hangs_is_ended(world, monkeypatch):
    slept = []
    monkeypatch.setattr(watchdog, "time", types.SimpleNamespace(sleep=slept.append))
    world.app.should_stop = True
    world.dog._guard_loop()
    assert slept == [watchdog.STOP_DEAD_S]
    assert world.ended[0][0] == errors.EXIT_RESTART


def consumer(**coordinator) -> types.SimpleNamespace:
    inner = types.SimpleNamespace(_coordinator=types.SimpleNamespace(**coordinator))
    return types.SimpleNamespace(_thread=types.SimpleNamespace(_consumer=inner))


def failing():
    raise RuntimeError("GroupAuthorizationFailed")


@pytest.mark.parametrize(
    ("check", "task", "expected"),
    [
        (lambda: None, types.SimpleNamespace(done=lambda: False), ""),
        (failing, None, "GroupAuthorizationFailed"),
        (lambda: None, types.SimpleNamespace(done=lambda: True), "coordination task has ended"),
    ],
)
def test_errors_that_faust_never_raises(world, check, task, expected):
    world.app.consumer = consumer(check_errors=check, _coordination_task=task)
    found = world.dog.consumer_error()
    assert expected in found
    assert bool(found) == bool(expected)


async def test_the_first_reason_ends_the_process(world, monkeypatch):
    monkeypatch.setattr(watchdog, "WATCH_EVERY_S", 0.0)
    world.app.consumer = consumer(check_errors=failing, _coordination_task=None)

    def end(code, reason):
        world.ended.append((code, reason))
        world.app.should_stop = True

    world.dog.ends = end
    await world.dog.run()
    assert world.ended[0][0] == errors.EXIT_RESTART
    assert "GroupAuthorizationFailed" in world.ended[0][1]


def test_before_the_consumer_is_there_nothing_is_wrong(world):
    assert world.dog.consumer_error() == ""
