"""Snapshot bytes: every column comes back with its type, small, and only whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollups.packing import CorruptState, pack, unpack

INTEGERS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.integers(-3, 300)), st.lists(st.integers(0, 99)).map(sorted)
)


@given(INTEGERS, st.lists(st.integers(0, 2**64 - 1)), st.lists(st.floats()), st.lists(st.binary(max_size=9)))
def test_what_was_packed_is_unpacked(
    signed: list[int], unsigned: list[int], floats: list[float], frozen: list[bytes]
) -> None:
    columns = {
        "signed": np.array(signed, np.int64),
        "unsigned": np.array(unsigned, np.uint64),
        "floats": np.array(floats, np.float64),
        "small": np.array(signed, np.int64).astype(np.int32),
        "trace": np.frombuffer(bytes(32), "V16"),
    }
    found = unpack(pack({"a": "b"}, columns, frozen))
    assert (found.meta, found.frozen) == ({"a": "b"}, frozen)
    for name, column in columns.items():
        assert found.columns[name].dtype == column.dtype
        assert found.columns[name].tobytes() == column.tobytes()
        assert found.columns[name].flags.writeable


def test_steps_and_small_ranges_take_one_byte() -> None:
    ascending = np.arange(0, 10_000_000, 100) + np.random.default_rng(1).integers(0, 90, 100_000)
    assert len(pack({}, {"ascending": ascending}, [])) < 110_000


@pytest.mark.parametrize("at", [0, 4, 8, 20, -1])
def test_a_changed_byte_is_refused(at: int) -> None:
    data = bytearray(pack({}, {"a": np.arange(9)}, [b"frozen"]))
    data[at] ^= 1
    with pytest.raises(CorruptState):
        unpack(bytes(data))
