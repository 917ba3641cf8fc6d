"""A fault that does not happen is an error, and a recovery is of the partitions that the dead one held. Without a broker."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from proof.faults import Step
from proof.field import NotInTime
from proof.harm import Unexpected
from proof.nemesis import Nemesis
from proof.pages import Notes
from proof.way import Way

PATIENCE_S = 0.2
EVERYWHERE = {0, 1, 2, 3}


class Probing:
    """Probes come out when they are told to."""

    def __init__(self) -> None:
        self.sent = 0
        self.out: set[int] = set(EVERYWHERE)

    def send(self) -> int:
        self.sent += 1
        return self.sent

    def came(self, number: int) -> set[int]:
        return self.out


class Playing:
    """A field without processes: worker-1 holds partitions 0 and 2."""

    patience_s = PATIENCE_S

    def __init__(self) -> None:
        self.probes, self.kills, self.ends = Probing(), 0, []  # type: ignore[var-annotated]
        self.killed: list[str] = []
        self.crash = ""
        self.dies_after = 0
        self.notes = Notes()

    def until(self, what: str, holds: Callable[[], bool], patience_s: float = 0.0) -> None:
        ends = time.monotonic() + (patience_s or self.patience_s)
        while not holds():
            if time.monotonic() > ends:
                raise NotInTime(what)
            self.tend()

    def during(self, seconds: float) -> None:
        self.tend()

    def tend(self) -> None:
        if self.crash and self.dies_after:
            self.dies_after -= 1
            if not self.dies_after:
                self.ends.append(("worker-1", -9))

    def at_work(self) -> bool:
        return True

    def held(self, name: str) -> set[tuple[str, int]]:
        return {("merge", 0), ("aggregate", 2)}

    def kill(self, name: str) -> None:
        self.kills += 1
        self.killed.append(name)

    def start(self, name: str, crash: str = "") -> None:
        self.crash = crash

    def crashed(self, name: str, since: int) -> bool:
        return (name, -9) in self.ends[since:]


def nemesis(field: Playing) -> Nemesis:
    return Nemesis(field, 1)  # type: ignore[arg-type]  # as far as it is needed


def test_a_kill_is_one_fault_and_its_recovery_is_of_what_the_worker_held() -> None:
    field = Playing()
    found = nemesis(field)
    found.act(Step("kill", "worker-1"))
    assert (field.killed, found.injected, len(found.recovered_s)) == (["worker-1"], 1, 2)


def test_a_crash_point_that_nobody_comes_by_is_an_error_and_no_fault() -> None:
    field = Playing()
    found = nemesis(field)
    with pytest.raises(Unexpected, match=r"nobody died at merge\.after_outputs:3"):
        found.act(Step("crash", "worker-1=merge.after_outputs:3"))
    assert found.injected == 0


def test_a_crash_point_is_two_deaths_also_when_it_fires_at_once() -> None:
    for after in (1, 5):
        field = Playing()
        field.dies_after = after
        found = nemesis(field)
        found.act(Step("crash", "worker-1=merge.after_outputs:3"))
        assert (found.injected, field.kills, len(found.recovered_s)) == (2, 2, 4)


def test_what_does_not_come_out_is_an_error() -> None:
    field = Playing()
    field.probes.out = {0, 1, 2}
    with pytest.raises(NotInTime, match="sent after the fault"):
        nemesis(field).act(Step("kill", "worker-1"))


def test_a_way_notes_each_held_partition_once_when_it_is_back() -> None:
    field = Playing()
    field.probes.out = set()
    way = Way(field, time.monotonic() - 3.0, {1, 2})  # type: ignore[arg-type]
    assert not way.open()
    field.probes.out = {0, 1}
    assert not way.open()
    assert not way.open()
    field.probes.out = EVERYWHERE
    assert way.open()
    assert len(way.recovered_s) == 2
    assert all(3.0 <= seconds < 4.0 for seconds in way.recovered_s)
