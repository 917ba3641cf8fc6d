"""A limit that nobody feels is an error, on real processes; and one that stands still takes nothing in. Without a broker."""

from __future__ import annotations

import subprocess
import sys
import threading
import types
from collections.abc import Collection, Iterator
from pathlib import Path

import psutil
import pytest

from demo.wire import read_batch
from proof import payloads
from proof.faults import Step
from proof.field import NotInTime
from proof.harm import Unexpected
from proof.scarcity import FELT
from tests.proof.test_nemesis import EVERYWHERE, Playing, nemesis

BUSY = """
import time
print("begun", flush=True)
while True:
    try:
        open("/dev/null").close()
        bytes(64 << 20)  # beyond what glibc keeps for itself, and untouched
    except (OSError, MemoryError) as error:
        print(repr(error), flush=True)
    time.sleep(0.02)
"""
IDLE = "import time; print('begun', flush=True); time.sleep(60)"


class Machine(Playing):
    """Whose worker-1 is a process of ours."""

    def __init__(self, program: str, log: Path) -> None:
        super().__init__()
        self.patience_s, self.load = 1.0, None
        self.others: set[tuple[str, int]] = {("merge", 2)}
        with log.open("w") as out:
            self.child = subprocess.Popen([sys.executable, "-c", program], stdout=out)
        self.log = log
        self.workers = types.SimpleNamespace(pid=lambda name: self.child.pid, names=["worker-1"])
        self.detour = types.SimpleNamespace(bootstrap="", break_off=lambda: None)

    def held(self, name: str) -> set[tuple[str, int]]:
        return super().held(name) if name == "worker-1" else self.others

    def says(self, name: str, words: Collection[str]) -> int:
        return sum(any(word in line for word in words) for line in self.log.read_text().splitlines())


@pytest.fixture
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr("proof.scarcity.Scarcity._restarted", lambda *of: None)
    monkeypatch.setattr("proof.scarcity.book", lambda *of: 0)
    monkeypatch.setattr("proof.scarcity.FELT_MAX_S", 1.0)
    monkeypatch.setattr("proof.scarcity.AGAIN_S", 0.5)
    found = Machine(request.param, tmp_path / "log")
    found.until("its start", lambda: found.says("", ["begun"]) > 0, 10.0)
    yield found
    found.child.kill()
    found.child.wait()


@pytest.mark.parametrize("machine", [BUSY], indirect=True)
@pytest.mark.parametrize("what", ["files", "memory"])
def test_a_limit_is_felt_and_taken_away_again(machine: Machine, what: str) -> None:
    process = psutil.Process(machine.child.pid)
    kinds = (psutil.RLIMIT_NOFILE, psutil.RLIMIT_DATA)
    before = [process.rlimit(kind) for kind in kinds]
    found = nemesis(machine)
    found.act(Step("starve", f"worker-1={what}", 0.1))
    assert found.injected == 1
    assert machine.says("worker-1", FELT[what])
    assert [process.rlimit(kind) for kind in kinds] == before


@pytest.mark.parametrize("machine", [IDLE], indirect=True)
@pytest.mark.parametrize("what", ["files", "memory"])
def test_a_limit_that_nobody_feels_is_an_error(machine: Machine, what: str) -> None:
    with pytest.raises(Unexpected, match=f"worker-1 may have no more {what}, and feels nothing of it"):
        nemesis(machine).act(Step("starve", f"worker-1={what}", 0.1))


@pytest.mark.parametrize("machine", [IDLE], indirect=True)
def test_one_that_ends_itself_has_felt_it(machine: Machine) -> None:
    threading.Timer(0.3, lambda: machine.ends.append(("worker-1", 70))).start()
    nemesis(machine).act(Step("starve", "worker-1=files", 0.1))


@pytest.mark.parametrize("machine", [IDLE], indirect=True)
def test_what_comes_out_of_a_worker_that_stands_still_is_an_error(machine: Machine) -> None:
    with pytest.raises(Unexpected, match="took in what was sent while it stood still"):
        nemesis(machine).act(Step("starve", "worker-1=processor", 0.5))
    assert psutil.Process(machine.child.pid).status() != psutil.STATUS_STOPPED
    machine.others = {("aggregate", 2)}  # it changes hands just now
    nemesis(machine).act(Step("starve", "worker-1=processor", 0.5))
    machine.others = set()
    machine.probes.out = EVERYWHERE - {2}  # which it aggregates
    with pytest.raises(NotInTime, match="what was sent after the fault"):
        nemesis(machine).act(Step("starve", "worker-1=processor", 0.5))


def test_bulk_is_good_batches_of_as_many_as_they_may_have() -> None:
    batches = [read_batch(value) for value in payloads.bulk("s", "b", 1_000, 3)]
    assert [len(batch.series) for batch in batches] == [payloads.BULK_ROWS] * 3
    assert [batch.sequence for batch in batches] == [1, 2, 3]
    assert all(batch.value.sum() == sum(range(payloads.BULK_ROWS)) for batch in batches)
