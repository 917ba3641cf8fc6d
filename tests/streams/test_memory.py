"""Memory: glibc takes the bounds and gives back what is free; where there is none, nothing happens."""

import ctypes
import subprocess
import sys
import threading
import types

from streams import memory

#: Blocks of 100 kB, every hundredth kept: what is free between those that stay is given back. Prints MB before and after.
BETWEEN = """
import psutil, time
from streams import memory
assert memory.settle()
blocks = [bytes(range(250)) * 400 for _ in range(3_000)]
kept = blocks[::100]
del blocks
resident = lambda: psutil.Process().memory_info().rss / 1e6
before = resident()
memory.keep_giving_back(0.01)
deadline = time.monotonic() + 20
while before - resident() < 150 and time.monotonic() < deadline:
    time.sleep(0.02)
print(before, resident())
"""


def test_the_bounds_are_given_to_glibc(monkeypatch):
    given = {}
    library = types.SimpleNamespace(mallopt=lambda name, value: given.update({name: value}) or 1)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    assert memory.settle()
    assert given == {-3: memory.HEAP_BLOCK_BYTES, -1: memory.HEAP_SPARE_BYTES, -8: 1}


def test_without_glibc_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: types.SimpleNamespace())
    assert not memory.settle()


def test_it_gives_back_again_and_again_until_it_is_told_to_stop(monkeypatch):
    given, often = [], threading.Event()

    def trim(kept):
        given.append(kept)
        if len(given) == 3:
            often.set()

    monkeypatch.setattr(ctypes, "CDLL", lambda _: types.SimpleNamespace(malloc_trim=trim))
    stop = memory.keep_giving_back(0.001)
    assert often.wait(10)
    stop.set()
    assert set(given) == {memory.HEAP_SPARE_BYTES}


def test_what_is_free_between_blocks_in_use_goes_back_to_the_system():
    told = subprocess.run(
        [sys.executable, "-c", BETWEEN], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    before, after = map(float, told.split())
    assert before - after > 150
