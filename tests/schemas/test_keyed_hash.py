"""KeyedHash: equal slices have equal hashes wherever they lie; others do not meet."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.keyed_hash import PADDING_BYTES, KeyedHash
from schemas.limits import HASHED_BYTES

KEYED = KeyedHash()


def hashes(slices: list[bytes], keyed: KeyedHash = KEYED, junk: bytes = b"") -> list[int]:
    """Hash of each slice, laid out one after the other with `junk` between."""
    buffer = np.frombuffer(junk + b"".join(part + junk for part in slices) + bytes(PADDING_BYTES), np.uint8)
    length = np.array([len(part) for part in slices], np.int64)
    start = np.cumsum(length + len(junk)) - length
    return [int(value) for value in keyed.slices(buffer, start, length)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=700), max_size=20), st.binary(min_size=1, max_size=40))
def test_the_hash_is_of_the_bytes_alone(slices: list[bytes], junk: bytes) -> None:
    alone = [hashes([part])[0] for part in slices]
    assert hashes(slices, junk=junk) == alone
    assert len(set(alone)) == len(set(slices))
    assert 0 not in alone


def test_close_neighbours_do_not_meet() -> None:
    base = bytes(600)
    others = {base[:size] for size in range(601)}
    for at in range(600):
        others |= {base[:at] + bytes([1 << bit]) + base[at + 1 :] for bit in range(8)}
    others |= {base[:at] + b"\x01" + base[at + 1 : -1] + b"\x01" for at in range(599)}  # pairs, moved
    assert len(set(hashes(sorted(others)))) == len(others)


def test_extremes_stay_exact() -> None:
    slices = [b"\xff" * size for size in (255, 256, 257, HASHED_BYTES - 1, HASHED_BYTES)]
    assert len(set(hashes(slices))) == len(slices)
    assert hashes(slices) == [hashes([part])[0] for part in slices]


def test_each_process_has_its_own_function() -> None:
    assert hashes([b"tail"], KeyedHash()) != hashes([b"tail"], KeyedHash())


def test_many_random_slices_do_not_meet() -> None:
    data = os.urandom(64 * 50_000 + PADDING_BYTES)
    start = np.arange(50_000, dtype=np.int64) * 64
    found = KEYED.slices(np.frombuffer(data, np.uint8), start, np.full(50_000, 40, np.int64))
    assert len(np.unique(found)) == 50_000


def test_no_slices_and_too_long_ones() -> None:
    assert hashes([]) == []
    with pytest.raises(ValueError, match="longer"):
        hashes([bytes(HASHED_BYTES + 1)])
