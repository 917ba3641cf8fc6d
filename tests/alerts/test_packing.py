"""Packing for snapshots."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.packing import CorruptSnapshot, pack, unpack


def test_what_is_packed_comes_back_with_its_shape_and_type() -> None:
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.zeros((0, 4), np.bool_), "c": np.array([1.5])}
    texts, found = unpack(pack({"x": "1"}, arrays))
    assert texts == {"x": "1"}
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].tolist() == array.tolist()
        assert found[name].shape == array.shape


def test_the_same_state_gives_the_same_bytes_whatever_the_order_of_names() -> None:
    a, b = np.arange(3), np.arange(4)
    assert pack({"x": "1", "y": "2"}, {"a": a, "b": b}) == pack({"y": "2", "x": "1"}, {"b": b, "a": a})


@pytest.mark.parametrize("cut", [0, 1, 10, 40])
def test_damaged_bytes_are_refused(cut: int) -> None:
    with pytest.raises(CorruptSnapshot):
        unpack(pack({"x": "1"}, {"a": np.arange(100)})[:cut])
