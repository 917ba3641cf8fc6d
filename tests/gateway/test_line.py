"""A line is short, fair among tenants, and nobody stands in it for ever."""

from __future__ import annotations

import asyncio

import pytest

from gateway.line import Line
from gateway.refusal import Refusal


async def test_a_noisy_tenant_waits_for_itself():
    line, came, most, inside = Line(1, 10.0), [], 0, 0
    go = asyncio.Event()

    async def one(tenant: str) -> None:
        nonlocal most, inside
        async with line.place(tenant):
            inside += 1
            most = max(most, inside)
            came.append(tenant)
            await go.wait()
            await asyncio.sleep(0)
            inside -= 1

    tasks = [asyncio.create_task(one(tenant)) for tenant in ("noisy", "noisy", "noisy", "noisy", "quiet")]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*tasks)
    assert came == ["noisy", "noisy", "quiet", "noisy", "noisy"], "one was being served, one stood first in the line"
    assert most == 1


@pytest.mark.parametrize("tenant", ["same", "other"])
async def test_who_waits_too_long_is_told_to_come_again(tenant):
    line = Line(1, 0.01)
    async with line.place("same"):
        with pytest.raises(Refusal) as caught:
            async with line.place(tenant):
                raise AssertionError
    assert (caught.value.status, caught.value.reason) == (503, "large")
    assert caught.value.retry_after_s > 0
    async with line.place(tenant):
        pass  # nothing of the wait is left
