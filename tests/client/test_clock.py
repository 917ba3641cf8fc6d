"""Clock: a stepped wall clock neither splits a batch's times nor is followed in the middle of one."""

from __future__ import annotations

import pytest
from tocsin import Client, MemoryTransport, clock

from demo.wire import read_batch

HOUR_NS = 3_600_000_000_000


def test_drift_is_followed_and_a_step_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0
    monkeypatch.setattr(clock, "offset_ns", lambda: now)
    anchor = clock.Anchor()
    now = clock.STEP_NS - 1
    assert not anchor.stepped()
    assert anchor.offset == now
    now -= HOUR_NS
    assert anchor.stepped()
    assert anchor.offset == clock.STEP_NS - 1
    anchor.settle()
    assert (anchor.offset, anchor.steps) == (now, 1)


@pytest.mark.parametrize("step_ns", [2 * HOUR_NS, -2 * HOUR_NS])
def test_a_step_does_no_harm(step_ns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = MemoryTransport()
    real = clock.offset_ns
    with Client(source="s", service="x", kind="web", transport=transport, flush_interval=3600) as made:
        gauge = made.gauge("g")
        gauge.set(1.0)
        gauge.set(2.0)
        monkeypatch.setattr(clock, "offset_ns", lambda: real() + step_ns)
        gauge.set(3.0)
        assert made.flush(1), "one batch, all by the clock of before"
        gauge.set(4.0)
        assert made.flush(1)
    before, after = (read_batch(value) for _, value in transport.records)
    assert before.value.tolist() == [1.0, 2.0, 3.0]
    assert before.time_ms.max() - before.time_ms.min() < 60_000
    moved = int(after.time_ms[0] - before.time_ms[0]) * 1_000_000
    assert abs(moved - step_ns) < 60_000_000_000


def test_the_forward_clock_goes_forward_and_a_machines_run_has_one_name() -> None:
    assert clock.forward_ms() <= clock.forward_ms()
    assert clock.machine_boot() == clock.machine_boot()
