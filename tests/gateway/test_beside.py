"""Another process does the work, and whatever becomes of it or of us, nobody is left waiting."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import sys
import textwrap
import time
from collections.abc import Iterator

import psutil
import pytest

from gateway import beside
from gateway.beside import Ended, Failed, Process, TooSlow
from gateway.parts import joined, several
from gateway.refusal import Refusal
from tests.gateway.making import until


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    yield made
    made.end()


def test_one_work_after_the_other(process):
    records = [b"a" * 100_000, b"", b"c"]
    assert process.ask(several, joined(records)) == records
    with pytest.raises(Refusal) as caught:
        process.ask(several, b"\0")
    assert (caught.value.status, caught.value.reason) == (400, "framing")
    with pytest.raises(Failed, match="invalid literal for int"):
        process.ask(int, "x")
    assert process.ask(several, b"") == []
    assert process.alive


def test_a_process_that_dies_is_noticed(process):
    with pytest.raises(Ended) as caught:
        process.ask(os._exit, 3)
    assert not isinstance(caught.value, TooSlow)
    assert not process.alive


def test_a_work_that_takes_too_long_is_ended():
    process = Process(0.05)
    try:
        with pytest.raises(TooSlow):
            process.ask(time.sleep, 600)
        assert not process.alive
    finally:
        process.end()


def test_what_it_answers_is_what_was_asked():
    source, sink = io.BytesIO(), io.BytesIO()
    for size in (2, 0):
        pickle.dump((range, (size,)), source)
    source.seek(0)
    beside.serve(source, sink)
    sink.seek(0)
    told = [pickle.load(sink) for _ in range(4)]
    assert told == [(beside.PART, 0), (beside.PART, 1), (beside.END, None), (beside.END, None)]


async def test_it_ends_when_we_are_killed():
    text = """
        import time
        from gateway.beside import Process
        process = Process()
        process.ask(range, 1)
        print(process.pid, flush=True)
        time.sleep(600)
    """
    us = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(text), stdout=asyncio.subprocess.PIPE
    )
    assert us.stdout is not None
    theirs = psutil.Process(int(await us.stdout.readline()))
    us.kill()
    await us.wait()
    await until(lambda: not theirs.is_running() or theirs.status() == psutil.STATUS_ZOMBIE)
