"""The guard: what was started ends with its starter, even when that one is killed, and is left alone otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local import guard

STARTER = """
import os, pathlib, signal, sys, time
from local import process
child = process.spawn([sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), pathlib.Path(sys.argv[1]),
                      name="it", mark="sleep", ports=[], guarded=True)
print(child.identity.pid, flush=True)
time.sleep(60)
"""
ROOT = Path(__file__).resolve().parent.parent.parent


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while guard.alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not guard.alive(pid)


def test_a_killed_starter_takes_its_process_along(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True, env=environment
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        time.sleep(2 * guard.GUARD_POLL_S)
        assert guard.alive(pid)
        starter.kill()
        starter.wait()
        assert gone_within(pid, 5.0)


def test_the_guard_leaves_when_the_process_does() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    begun = time.monotonic()
    guard.watch(os.getppid(), ended.pid)
    assert time.monotonic() - begun < 1.0


def test_ending_is_asked_for_first_and_forced_then(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def record(pid: int, number: int) -> None:
        if number:
            sent.append(number)

    monkeypatch.setattr(os, "kill", record)
    monkeypatch.setattr(guard, "STOP_MAX_S", 0.1)
    monkeypatch.setattr(guard, "GUARD_POLL_S", 0.05)
    guard.end(1)
    assert sent == [signal.SIGTERM, signal.SIGKILL]
