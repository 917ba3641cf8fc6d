"""Replay: in order, nothing given up while Kafka is away, nothing overtaken."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from gateway import replay
from gateway.identity import ANYBODY, Identity
from gateway.intake import Intake
from gateway.refusal import busy
from gateway.replay import replayed
from gateway.spool import Spool
from gateway.verdicts import read
from tests.gateway.making import BASE_MS, batch, until
from tests.gateway.test_intake import Kept, statuses


class Broker(Kept):
    """A publisher that can be away."""

    away = ""


@pytest.fixture
def held(tmp_path):
    made = Spool(tmp_path, 1 << 26, 3_600.0)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def replaying(held, broker):
    task = asyncio.create_task(replayed(held, broker))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def gone(broker: Broker) -> None:
    broker.away, broker.error = "gone", busy("broker", "gone")


def back(broker: Broker) -> None:
    broker.away, broker.error = "", None


async def test_without_a_broker_records_are_spooled_and_a_repeat_is_known(held):
    broker = Broker()
    gone(broker)
    intake = Intake(broker, spool=held)
    fleet = Identity("k", "fleet", prefix="")
    assert statuses(await intake.take(fleet, [batch(sequence=0), b"noise"])) == ["spooled", "rejected"]
    assert statuses(await intake.take(fleet, [batch(sequence=0)])) == ["duplicate"]
    back(broker)
    async with replaying(held, broker):
        await until(lambda: not held.left)
    assert broker.records == [(b"source-1", batch(sequence=0), [("tenant", b"fleet")])]
    assert held.age_now_s == 0.0, "nothing waits, so nothing grows old"


async def test_the_time_in_the_spool_is_not_taken_for_a_clock_that_is_behind(held, monkeypatch):
    broker = Broker()
    gone(broker)
    intake = Intake(broker, spool=held)
    stamps = (BASE_MS, 50, BASE_MS + 9, 59)
    await intake.take(ANYBODY, [batch(sequence=0, stamps=stamps), batch(sequence=1)])
    received_ms = time.time_ns() // 1_000_000
    monkeypatch.setattr(replay.time, "time_ns", lambda: (received_ms + 1_800_000) * 1_000_000)
    back(broker)
    async with replaying(held, broker):
        await until(lambda: not held.left)
    (_, stamped, _), (_, plain, _) = broker.records
    made, forward, sent, sent_forward = read(stamped).stamps
    assert (made, forward) == stamps[:2]
    assert 1_800_000 <= sent - stamps[2] < 1_860_000
    assert sent - stamps[2] == sent_forward - stamps[3]
    assert plain == batch(sequence=1)


async def test_what_comes_in_meanwhile_does_not_overtake(held):
    broker = Broker()
    gone(broker)
    intake = Intake(broker, spool=held)
    await intake.take(ANYBODY, [batch(sequence=0)])
    back(broker)
    assert statuses(await intake.take(ANYBODY, [batch(sequence=1)])) == ["spooled"]
    assert not broker.records
    async with replaying(held, broker):
        await until(lambda: not held.left)
        assert statuses(await intake.take(ANYBODY, [batch(sequence=2)])) == ["stored"]
    assert [value for _, value, _ in broker.records] == [batch(sequence=number) for number in range(3)]


async def test_another_refusal_is_no_reason_to_spool(held):
    broker = Broker()
    broker.error = busy("queue", "full")
    with pytest.raises(type(broker.error), match="queue"):
        await Intake(broker, spool=held).take(ANYBODY, [batch()])
    assert not held.left


async def test_a_broker_that_fails_again_and_again_loses_nothing(held, monkeypatch):
    monkeypatch.setattr("gateway.replay.SPOOL_LOOK_S", 0.001)
    broker = Broker()
    gone(broker)
    intake = Intake(broker, spool=held)
    for number in range(5):
        await intake.take(ANYBODY, [batch(sequence=number)])
    broker.away = ""
    async with replaying(held, broker):
        await asyncio.sleep(0.05)
        assert held.records == 5
        broker.for_good = {2: "too large"}
        broker.error = None
        await until(lambda: not held.left)
    assert len(broker.records) == 5


async def test_a_disk_that_does_not_give_back_is_asked_again(held, monkeypatch):
    monkeypatch.setattr("gateway.replay.SPOOL_LOOK_S", 0.001)
    broker = Broker()
    gone(broker)
    await Intake(broker, spool=held).take(ANYBODY, [batch()])
    back(broker)
    real, tries = held._read, []

    def fails(number, at):
        tries.append(at)
        if len(tries) < 4:
            raise OSError("bad sector")
        return real(number, at)

    monkeypatch.setattr(held, "_read", fails)
    async with replaying(held, broker):
        await until(lambda: not held.left)
    assert len(broker.records) == 1
