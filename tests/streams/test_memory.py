"""Memory: glibc takes the bounds; where there is none, nothing happens."""

import ctypes
import types

from streams import memory


def test_both_bounds_are_given_to_glibc(monkeypatch):
    given = {}
    library = types.SimpleNamespace(mallopt=lambda name, value: given.update({name: value}) or 1)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    assert memory.settle()
    assert given == {-3: memory.HEAP_BLOCK_BYTES, -1: memory.HEAP_SPARE_BYTES}


def test_without_glibc_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: types.SimpleNamespace())
    assert not memory.settle()
