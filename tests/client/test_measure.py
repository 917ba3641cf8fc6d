"""Measure: duration and outcome of blocks and functions, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tocsin import Client, InvalidName, MemoryTransport

from demo.wire import read_batch


@pytest.fixture
def transport() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def made(transport: MemoryTransport) -> Iterator[Client]:
    with Client(source="s", service="x", kind="web", transport=transport, flush_interval=3600) as client:
        yield client


def seen(made: Client, transport: MemoryTransport) -> list[tuple[int, float]]:
    """(outcome, ms) of each."""
    made.flush(1)
    found = []
    for _, value in transport.records:
        batch = read_batch(value)
        found += list(zip(batch.outcome.tolist(), batch.value.tolist(), strict=True))
    return found


def test_a_block_is_good_unless_it_raises_or_says_so(made: Client, transport: MemoryTransport) -> None:
    with made.measure("job"):
        pass
    with pytest.raises(KeyError), made.measure("job"):
        raise KeyError
    with made.measure("job") as run:
        run.bad()
    with made.measure("job") as run:
        run.bad()
        run.good()
    assert [outcome for outcome, _ in seen(made, transport)] == [1, 0, 0, 1]


def test_a_function_is_timed_at_each_call(made: Client, transport: MemoryTransport) -> None:
    @made.measure("job", kind="f")
    def half(value: int) -> float:
        """Docstring."""
        return value / 2

    @made.measure("job", unit="s")
    def fail() -> None:
        raise ValueError("empty")

    assert (half(4), half.__name__, half.__doc__) == (2.0, "half", "Docstring.")
    with pytest.raises(ValueError, match="empty"):
        fail()
    found = seen(made, transport)
    assert [outcome for outcome, _ in found] == [1, 0]
    assert all(0 < took < 60_000 for _, took in found)


async def test_a_coroutine_is_timed_until_it_is_done(made: Client, transport: MemoryTransport) -> None:
    @made.measure("job")
    async def wait(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    assert await asyncio.gather(wait(0.02), wait(0.001)) == ["done", "done"]
    async with made.measure("job"):
        await asyncio.sleep(0)
    found = seen(made, transport)
    assert [outcome for outcome, _ in found] == [1, 1, 1]
    assert max(took for _, took in found) >= 20


async def test_what_is_cancelled_says_nothing(made: Client, transport: MemoryTransport) -> None:
    @made.measure("job")
    async def forever() -> None:
        await asyncio.Event().wait()

    task = asyncio.ensure_future(forever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen(made, transport) == []


async def test_generators_are_timed_until_they_end(made: Client, transport: MemoryTransport) -> None:
    closed = []

    @made.measure("job")
    def count() -> Iterator[int]:
        yield 1
        yield 2

    @made.measure("job")
    async def slow() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(0)
            yield 2
        finally:
            closed.append(True)

    assert list(count()) == [1, 2]
    assert [item async for item in slow()] == [1, 2]
    left = slow()
    assert await anext(left) == 1
    await left.aclose()  # type: ignore[attr-defined]
    assert closed == [True, True]
    assert [outcome for outcome, _ in seen(made, transport)] == [1, 1], "one that is left early says nothing"


def test_a_bound_outcome_times_many_blocks_at_once(made: Client, transport: MemoryTransport) -> None:
    outcome = made.outcome("job", unit="us")
    with outcome.timed() as outer, outcome.timed():
        outer.bad()
    assert [o for o, _ in seen(made, transport)] == [1, 0]


def test_a_duration_needs_a_unit_of_time(made: Client) -> None:
    with pytest.raises(InvalidName, match="one of s, ms, us, ns"):
        made.measure("job", unit="By")
    with pytest.raises(InvalidName, match="one of s, ms, us, ns"):
        made.outcome("job").timed()
