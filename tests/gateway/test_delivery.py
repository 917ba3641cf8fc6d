"""What the promise rests on cannot be set otherwise, and one tenant's records do not take the whole queue to Kafka."""

from __future__ import annotations

import asyncio

import pytest

from gateway.delivery import FIXED, Delivery
from gateway.refusal import Refusal
from tests.gateway.making import until

QUEUE_BYTES = 1_000_000


class Slow:
    """A producer whose broker takes its time. `reports`: of the records that it was handed."""

    def __init__(self) -> None:
        self.reports = []

    def produce(self, topic, value, key, *, on_delivery, headers) -> None:
        self.reports.append(on_delivery)


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def delivery(slow):
    made = Delivery("127.0.0.1:1", "telemetry", 5.0, QUEUE_BYTES)
    made._producer, made.away = slow, ""
    return made


def records(tenant: str, size: int, count: int = 1):
    return [(b"source", bytes(size), [("tenant", tenant.encode())])] * count


async def test_a_noisy_tenant_does_not_take_the_queue(delivery, slow):
    publish = delivery.publish
    noisy = [asyncio.create_task(publish(records("noisy", QUEUE_BYTES // 10))) for _ in range(7)]
    await until(lambda: len(slow.reports) == 7)
    with pytest.raises(Refusal) as caught:
        await publish(records("noisy", QUEUE_BYTES // 10))
    assert (caught.value.status, caught.value.reason) == (503, "share")
    quiet = asyncio.create_task(publish(records("quiet", QUEUE_BYTES // 10)))
    await until(lambda: len(slow.reports) == 8)
    for report in slow.reports:
        report(None, None)
    assert await asyncio.gather(*noisy, quiet) == [{}] * 8
    assert delivery._queue.used == 0


async def test_many_small_records_are_a_part_of_the_queue_too(delivery, slow):
    first = asyncio.create_task(delivery.publish(records("noisy", 1, 40_000)))
    await until(lambda: len(slow.reports) == 40_000)
    with pytest.raises(Refusal) as caught:
        await delivery.publish(records("noisy", 1, 40_000))
    assert caught.value.reason == "share"
    for report in slow.reports:
        report(None, None)
    await first


async def test_a_request_larger_than_the_queue_has_room_when_it_is_alone(delivery, slow):
    one = asyncio.create_task(delivery.publish(records("one", QUEUE_BYTES // 10, 20)))
    await until(lambda: len(slow.reports) == 20)
    for report in slow.reports:
        report(None, None)
    assert await one == {}


@pytest.mark.parametrize("name", FIXED)
def test_what_the_promise_rests_on_stays(name):
    made = Delivery("127.0.0.1:1", "telemetry", 5.0, QUEUE_BYTES, {name: "0"})
    assert made._config[name] == FIXED[name]
