"""Workers: started, found dead, killed and stopped as processes of our own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from demo.workers import WorkerEnded, Workers

UNREACHABLE = {"TOCSIN_BOOTSTRAP": "127.0.0.1:1"}


def until_ended(workers: Workers) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        workers.check()
        time.sleep(0.1)


def test_a_worker_that_ends_by_itself_is_an_error_with_its_log(tmp_path: Path) -> None:
    workers = Workers({**UNREACHABLE, "TOCSIN_PARTITIONS": "none"}, tmp_path)
    workers.start("one")
    try:
        with pytest.raises(WorkerEnded, match="one, exit code 1") as caught:
            until_ended(workers)
    finally:
        workers.stop()
    assert "TOCSIN_PARTITIONS" in str(caught.value)
    assert workers.names == []


def test_killed_and_stopped_workers_are_gone(tmp_path: Path) -> None:
    workers = Workers(UNREACHABLE, tmp_path)
    workers.start("one")
    workers.start("two")
    processes = [child.identity for child in workers._running.values()]
    assert workers.names == ["one", "two"]
    workers.kill("one")
    assert workers.names == ["two"]
    workers.check()
    workers.stop()
    assert [identity.process() for identity in processes] == [None, None]


def test_a_worker_gets_settings_of_its_own(tmp_path: Path) -> None:
    workers = Workers(UNREACHABLE, tmp_path)
    workers.start("one", {"TOCSIN_CRASH_AT": "nowhere"})
    assert workers.pid("one") > 0
    try:
        with pytest.raises(WorkerEnded, match="TOCSIN_CRASH_AT"):
            until_ended(workers)
    finally:
        workers.stop()
