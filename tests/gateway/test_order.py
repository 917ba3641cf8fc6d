"""Requests of one source follow each other; those of others do not wait for them."""

from __future__ import annotations

import asyncio

from gateway.order import Order


async def test_a_source_waits_for_itself_only():
    order, told = Order(), []

    async def one(name: str, go: asyncio.Event, *sources: tuple[str, str]) -> None:
        async with order.of(sources):
            told.append(name)
            await go.wait()

    first, now = asyncio.Event(), asyncio.Event()
    now.set()
    waiting = asyncio.create_task(one("first", first, ("t", "a"), ("t", "b")))
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(one(*each)) for each in (
        ("same source", now, ("t", "b")), ("another", now, ("t", "c")), ("another tenant", now, ("u", "b")),
    )]  # fmt: skip
    await asyncio.gather(*tasks[1:])
    assert told == ["first", "another", "another tenant"]
    first.set()
    await asyncio.gather(waiting, *tasks)
    assert told[-1] == "same source"


async def test_two_with_the_same_sources_in_another_order_do_not_wait_for_each_other():
    order = Order()

    async def one(*sources: tuple[str, str]) -> None:
        for _ in range(20):
            async with order.of(sources):
                await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await asyncio.gather(one(("t", "a"), ("t", "b")), one(("t", "b"), ("t", "a"), ("t", "b")))
    assert not order._locks, "a lock that nobody wants is forgotten"
