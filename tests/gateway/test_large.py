"""Large bodies are read beside the loop, small ones here; a process that ends costs one body its try."""

from __future__ import annotations

import asyncio
import functools
import os
import time

import pytest

from gateway import large as module
from gateway import selfmetrics
from gateway.beside import Process
from gateway.large import Large
from gateway.limits import LARGE_BYTES
from gateway.parts import joined, several
from gateway.refusal import Refusal
from tests.gateway.making import until

RECORDS = [bytes(LARGE_BYTES), b"second"]


def counted(metric, **labels: str) -> float:
    return metric.labels(**labels)._value.get()


async def test_a_large_body_is_read_by_another_process_and_a_small_one_here(large):
    before = counted(selfmetrics.LARGE, where="beside")
    assert await large.read("tenant", several, joined([b"x"])) == [b"x"]
    assert not large._idle
    assert await large.read("tenant", several, joined(RECORDS)) == RECORDS
    assert await large.read("tenant", several, joined(RECORDS)) == RECORDS
    assert len(large._idle) == 1, "the process stays"
    assert counted(selfmetrics.LARGE, where="beside") == before + 2
    with pytest.raises(Refusal, match="beyond the end"):
        await large.read("tenant", several, b"\1" * (LARGE_BYTES + 1))


def ends(body: bytes, code: int) -> None:
    os._exit(code)


async def test_a_process_that_dies_costs_one_body_its_try(large):
    before = counted(selfmetrics.BESIDE_ENDED, why="died")
    await large.read("tenant", several, joined(RECORDS))
    large._idle[0].kill()
    assert await large.read("tenant", several, joined(RECORDS)) == RECORDS, "it had died before it was asked"
    with pytest.raises(Refusal) as caught:
        await large.read("tenant", ends, bytes(LARGE_BYTES + 1), 3)
    assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
    assert await large.read("tenant", several, joined(RECORDS)) == RECORDS
    assert counted(selfmetrics.BESIDE_ENDED, why="died") == before + 1


def sleeps(body: bytes) -> None:
    time.sleep(600)


async def test_what_takes_too_long_is_refused_for_good(large, monkeypatch):
    monkeypatch.setattr(module, "Process", functools.partial(Process, 0.05))
    with pytest.raises(Refusal) as caught:
        await large.read("tenant", sleeps, bytes(LARGE_BYTES + 1))
    assert caught.value.status == 413


async def test_large_bodies_take_their_turns_one_by_one(large):
    before = counted(selfmetrics.LARGE, where="turns")
    async with large.turns("tenant", LARGE_BYTES), large.turns("tenant", LARGE_BYTES + 1):
        large._loop._wait_s = 0.01
        async with large.turns("tenant", LARGE_BYTES):
            pass
        with pytest.raises(Refusal):
            async with large.turns("other", LARGE_BYTES + 1):
                raise AssertionError
    assert counted(selfmetrics.LARGE, where="turns") == before + 1


async def test_its_end_does_not_wait_for_a_body_that_is_being_read():
    made = Large()
    reading = asyncio.create_task(made.read("tenant", sleeps, bytes(LARGE_BYTES + 1)))
    await until(lambda: bool(made._asking))
    (process,) = made._asking
    async with asyncio.timeout(5):
        await asyncio.to_thread(made.close)
    assert not process.alive
    assert not made._idle
    with pytest.raises(Refusal) as caught:
        await reading
    assert caught.value.status == 503
