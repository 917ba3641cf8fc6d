"""What clients saw of a gateway, without one: waits, failures, and the order of its deaths."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tocsin import OnResult

from proof.gate import SHORT, Gate, Timed


class Holding:
    """A transport that answers when it is told to."""

    def __init__(self) -> None:
        self.held: list[OnResult] = []
        self.full = False

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        if self.full:
            raise BufferError
        self.held.append(on_result)

    def flush(self, timeout: float) -> int:
        return len(self.held)


def test_what_still_waits_counts_with_what_has_waited() -> None:
    holding = Holding()
    timed = Timed(holding)
    assert timed.longest_s() == 0.0
    before = time.monotonic()
    for _ in range(3):
        timed.send(b"k", b"v", lambda error: None)
    holding.held[0](None)
    holding.held[1](ConnectionError("gone"))
    time.sleep(0.05)
    waits, failed = timed.waits(before)
    assert (len(waits), failed) == (3, 1)
    assert max(waits) >= 0.05 > min(waits)
    assert timed.longest_s() >= 0.05
    assert timed.waits(time.monotonic()) == ([], 0)


def test_what_was_not_taken_does_not_wait() -> None:
    holding = Holding()
    holding.full = True
    timed = Timed(holding)
    with pytest.raises(BufferError):
        timed.send(b"k", b"v", lambda error: None)
    assert timed.longest_s() == 0.0


class Processes:
    """Workers that live and die on paper."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.started: list[str] = []
        self.known = False

    def start(self, name: str, own: dict[str, str]) -> None:
        self.names, self.known = [name], True
        self.started.append(own["TOCSIN_GATEWAY_CRASH_AT"])

    def kill(self, name: str) -> None:
        if not self.known:
            raise KeyError(name)
        self.names, self.known = [], False


def test_each_life_has_its_end_and_then_there_is_one_without(tmp_path: Path) -> None:
    gate, processes = Gate("127.0.0.1:9", tmp_path, SHORT), Processes()
    gate._processes = processes  # type: ignore[assignment]  # as far as they are needed
    with gate:
        gate.dies_at(["after_ack:3", "before_ack"])
        gate.kill()
        for lives in (1, 2, 3):
            gate.tend()
            assert len(gate.died) == lives
            gate.tend()
            assert len(gate.died) == lives
            processes.names = []
    assert processes.started == ["", "after_ack:3", "before_ack", ""]
    assert gate.kills == 1
