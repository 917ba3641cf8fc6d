"""Processes: recognised by more than their id, ended for sure, and never somebody else's."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from local import process
from local.errors import StartBusy

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def started(tmp_path: Path, code: str = SLEEP, guarded: bool = False) -> process.Child:
    command = [sys.executable, "-c", code, "the-mark"]
    return process.spawn(
        command, dict(os.environ), tmp_path / "log", name="it", mark="the-mark", ports=[1], guarded=guarded
    )


def test_a_started_process_is_recognised_ended_and_reaped(tmp_path: Path) -> None:
    child = started(tmp_path, guarded=True)
    assert child.identity.process() is not None
    assert child.exit_code() is None
    process.end(child.identity)
    child.reap()
    assert child.identity.process() is None
    assert child.exit_code() == -signal.SIGTERM
    assert child.guard is not None
    assert child.guard.returncode is not None


def test_a_process_has_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    child = started(tmp_path)
    assert os.getsid(child.identity.pid) == child.identity.pid != os.getsid(0)
    process.end(child.identity, signal.SIGKILL)
    child.reap()


def test_one_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_MAX_S", 0.3)
    child = started(tmp_path, STUBBORN)
    while "deaf" not in (tmp_path / "log").read_text():
        time.sleep(0.02)
    process.end(child.identity)
    child.reap()
    assert child.exit_code() == -signal.SIGKILL


@pytest.mark.parametrize("change", [{"created_s": 1.0}, {"mark": "another"}, {"pid": 2**22 - 1}])
def test_another_process_is_never_taken_for_ours(tmp_path: Path, change: dict[str, object]) -> None:
    child = started(tmp_path)
    stranger = dataclasses.replace(child.identity, **change)  # type: ignore[arg-type]
    assert stranger.process() is None
    process.end(stranger)
    assert child.identity.process() is not None
    process.end(child.identity)
    child.reap()


def test_an_identity_survives_its_file(tmp_path: Path) -> None:
    identity = process.Identity(7, 1.5, "mark", (9092, 9093), "cluster")
    identity.save(tmp_path / "state.json")
    assert process.load_identity(tmp_path / "state.json") == identity


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pid": 1}', '{"pid":1,"created_s":1,"mark":"","ports":3,"name":""}']
)
def test_a_damaged_state_file_is_no_identity(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    assert process.load_identity(tmp_path / "state.json") is None
    assert process.load_identity(tmp_path / "absent.json") is None


def test_ports_are_judged_by_what_listens() -> None:
    with socket.socket() as busy:
        busy.bind((process.LOOPBACK, 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert not process.port_is_free(port)
        assert process.port_answers(port, 1.0)
    assert process.port_is_free(port)
    assert not process.port_answers(port, 1.0)
    assert process.port_is_free(process.free_port())


def test_the_tail_is_the_end_of_the_first_log_that_has_lines(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.write_text("\n\n")
    full.write_text("".join(f"line {n}\n" for n in range(10_000)))
    lines = process.tail(tmp_path / "absent", empty, full).split("\n  ")[1:]
    assert lines == [f"line {n}" for n in range(10_000 - process.LOG_TAIL_LINES_MAX, 10_000)]
    assert process.tail(empty) == "(the log is empty)"


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        process.exclusive(lock, "thing", 1.0),
        pytest.raises(StartBusy, match="thing"),
        process.exclusive(lock, "thing", 0.2),
    ):
        pytest.fail("held by two")
    with process.exclusive(tmp_path / "lock", "thing", 0.2):
        pass
