"""Nobody waits for more than a stretch of another's work, and no body has elements without end."""

from __future__ import annotations

import asyncio

import pytest

from gateway import turn
from gateway.refusal import Refusal
from gateway.turn import Turn


async def passed(elements: int, monkeypatch, stretch_s: float) -> int:
    """How often another task ran while so many elements were worked through."""
    monkeypatch.setattr(turn, "TURN_S", stretch_s)
    ran = 0

    async def other():
        nonlocal ran
        while True:
            ran += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    mine = Turn()
    for _ in range(elements):
        await mine.next()
    task.cancel()
    return ran


async def test_others_get_their_turn_when_a_stretch_is_over_and_not_before(monkeypatch):
    assert await passed(50, monkeypatch, 0.0) == 50
    assert await passed(50, monkeypatch, 60.0) == 0


async def test_too_many_elements_are_refused_for_good():
    mine = Turn(2)
    await mine.next()
    await mine.next()
    with pytest.raises(Refusal) as caught:
        await mine.next()
    assert (caught.value.status, caught.value.retry_after_s) == (413, 0)
