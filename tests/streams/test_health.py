"""Probes over HTTP: live, started, ready are three questions; each is answered from a thread beside the loop."""

import json
import types
import urllib.error
import urllib.request

import pytest

from streams import health
from streams.limits import LOOP_STALL_S, READY_LAG_RECORDS


class Stage:
    name, topic = "aggregate", "telemetry"

    def __init__(self) -> None:
        self.held, self.assigned, self.assignments, self.lags = {}, frozenset(), 0, {}

    def behind(self, partition):
        return self.lags.get(partition)

    def assign(self, *partitions: int, restored: tuple[int, ...] = ()) -> None:
        self.assigned, self.assignments = frozenset(partitions), self.assignments + 1
        self.held = dict.fromkeys(restored)


@pytest.fixture
def world(monkeypatch):
    clock = types.SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(health.time, "monotonic", lambda: clock.now)
    made = types.SimpleNamespace(stage=Stage(), dog=types.SimpleNamespace(turned_at=1_000.0, waits_for=""), clock=clock)
    made.health = health.Health([made.stage], made.dog)
    return made


def test_live_is_a_loop_that_turns(world):
    world.clock.now += LOOP_STALL_S - 1
    assert world.health.livez()[0]
    world.clock.now += 2
    assert not world.health.livez()[0]


def test_ready_is_assigned_restored_and_caught_up(world):
    ready = lambda: world.health.readyz()[0]  # noqa: E731
    assert not ready()  # nothing was assigned yet
    world.stage.assign(0, 1)
    assert not ready()  # not restored
    world.stage.assign(0, 1, restored=(0, 1))
    world.stage.lags = {0: 0}
    assert not ready()  # the end of 1 is unknown
    world.stage.lags = {0: 0, 1: READY_LAG_RECORDS + 1}
    assert not ready()
    world.stage.lags[1] -= 1
    assert ready()
    assert world.health.readyz()[1] == {"lag": {"telemetry[0]": 0, "telemetry[1]": READY_LAG_RECORDS}}


def test_a_worker_that_catches_up_is_live_and_started(world):
    world.stage.assign(0, restored=(0,))
    world.stage.lags = {0: 10**9}
    assert (world.health.livez()[0], world.health.startupz()[0], world.health.readyz()[0]) == (True, True, False)


def test_a_worker_that_was_assigned_nothing_is_ready_to_take_over(world):
    world.stage.assign()
    assert world.health.readyz()[0]


def test_a_start_that_waits_to_be_let_in_is_not_ready_and_says_why(world):
    world.stage.assign()
    world.dog.waits_for = "User:w lacks Write on topic alerts"
    assert world.health.readyz() == (False, {"why": "User:w lacks Write on topic alerts"})
    assert world.health.livez()[0]


def test_started_stays_started(world):
    assert not world.health.startupz()[0]
    world.stage.assign(0, restored=(0,))
    assert world.health.startupz()[0]
    world.stage.assign(0, 1, restored=(0,))
    assert world.health.startupz()[0]


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_answers_over_http():
    stage = Stage()
    server = health.serve(0, [stage], types.SimpleNamespace(turned_at=health.time.monotonic(), waits_for=""))
    try:
        port = server.server_address[1]
        assert get(port, "/livez")[0] == 200
        assert get(port, "/readyz")[0] == 503
        stage.assign(0, restored=(0,))
        stage.lags = {0: 3}
        status, body = get(port, "/readyz")
        assert (status, json.loads(body)) == (200, {"lag": {"telemetry[0]": 3}})
        assert "tocsin_input_records_total" in get(port, "/metrics")[1]
        assert get(port, "/")[0] == 404
    finally:
        server.shutdown()
        server.server_close()
