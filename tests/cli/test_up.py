"""What `tocsin up` starts, says and ends; the broker and the workers are stood in for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from demo.workers import WorkerEnded
from local.choice import Running
from local.errors import GivenBrokerSilent

Run = Callable[..., Result]


class Fleet:
    """Workers that do nothing until they are looked at."""

    ending: Callable[[], None]

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self.environment, self.started, self.stopped = environment, list[str](), False
        fleets.append(self)

    def start(self, name: str) -> None:
        self.started.append(name)

    def check(self) -> None:
        Fleet.ending()

    def stop(self) -> None:
        self.stopped = True


fleets: list[Fleet] = []


@pytest.fixture(autouse=True)
def stands_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @contextlib.contextmanager
    def broker(progress: Callable[[str], None], keep: bool = False) -> Iterator[Running]:
        progress("starting")
        yield Running("127.0.0.1:9", "embedded", False)

    fleets.clear()
    monkeypatch.setenv("TOCSIN_HOME", str(tmp_path))
    monkeypatch.setattr("local.choice.broker", broker)
    monkeypatch.setattr("demo.workers.Workers", Fleet)
    monkeypatch.setattr("streams.topics.ensure", lambda bootstrap, partitions, replication: ["telemetry"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_end(run: Run, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    Fleet.ending = staticmethod(lambda: os.kill(os.getpid(), number))
    found = run("up", "--workers", "2", "--partitions", "8")
    assert (found.exit_code, found.stdout) == (0, "127.0.0.1:9\n")
    (fleet,) = fleets
    assert fleet.started == ["worker-1", "worker-2"]
    assert fleet.stopped
    assert fleet.environment == {
        "TOCSIN_BOOTSTRAP": "127.0.0.1:9",
        "TOCSIN_PARTITIONS": "8",
        "TOCSIN_REPLICATION": "1",
    }
    assert signal.getsignal(number) is before


def test_a_worker_that_ends_by_itself_is_a_problem(run: Run, tmp_path: Path) -> None:
    def ended() -> None:
        raise WorkerEnded("worker-1", 1, tmp_path / "worker-1.log")

    Fleet.ending = staticmethod(ended)
    found = run("up", "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["bootstrap"] == "127.0.0.1:9"
    assert "worker-1" in found.stderr
    assert fleets[0].stopped


def test_no_broker_is_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*arguments: object, **options: object) -> None:
        raise GivenBrokerSilent(bootstrap="k:1", reason="no metadata")

    monkeypatch.setattr("local.choice.broker", silent)
    found = run("up")
    assert (found.exit_code, found.stdout) == (3, "")
    assert "KAFKA_BOOTSTRAP names k:1" in found.stderr
    assert fleets == []
