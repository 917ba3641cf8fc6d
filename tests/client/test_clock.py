"""Clock: a stepped wall clock neither splits a batch's times nor is followed in the middle of one."""

from __future__ import annotations

import numpy as np
import pytest
from tocsin import Client, MemoryTransport, clock

from demo.wire import read_batch
from rollups.limits import Lateness
from rollups.skew import shifts
from schemas.telemetry_rows import read_batch as read_batch_strictly
from schemas.telemetry_schema import BATCH

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


def test_a_sleep_between_measuring_and_sending_is_time_that_went_by(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = MemoryTransport()
    real, asleep, forward, wall = clock.offset_ns, clock.asleep_ns, clock.forward_ms, clock.wall_ms
    night = 8 * HOUR_NS
    with Client(source="s", service="x", kind="desktop", transport=transport, flush_interval=3600) as made:
        made.gauge("g").set(1.0)
        monkeypatch.setattr(clock, "offset_ns", lambda: real() + night)
        monkeypatch.setattr(clock, "asleep_ns", lambda: asleep() + night)
        monkeypatch.setattr(clock, "forward_ms", lambda: forward() + night // 1_000_000)
        monkeypatch.setattr(clock, "wall_ms", lambda: wall() + night // 1_000_000)
        assert made.flush(1)
    (_, value) = transport.records[0]
    stamps = read_batch_strictly(BATCH, value, 10).stamps
    made_wall, made_forward, sent_wall, sent_forward = stamps
    assert abs((sent_forward - made_forward) - (sent_wall - made_wall)) < 60_000
    assert sent_forward - made_forward >= night // 1_000_000
    append_ms = np.array([sent_wall + 5])
    assert shifts(np.array([stamps]).T, append_ms, Lateness()) is None, "nobody's clock was wrong"


def test_the_forward_clock_goes_forward_and_a_machines_run_has_one_name() -> None:
    assert clock.forward_ms() <= clock.forward_ms()
    assert clock.machine_boot() == clock.machine_boot()
