"""HashIndex: a dictionary that is asked in columns."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.hash_index import HashIndex

KEYS = st.integers(1, 2**64 - 1) | st.integers(1, 40) | st.integers(1, 40).map(lambda n: n << 10)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(KEYS, st.integers(-(2**63), 2**63 - 1), max_size=30), max_size=5), st.lists(KEYS))
def test_it_is_a_dictionary(steps: list[dict[int, int]], others: list[int]) -> None:
    index, model = HashIndex(10_000), dict[int, int]()
    for step in steps:
        new = {key: value for key, value in step.items() if key not in model}
        index.add(np.array(list(new), np.uint64), np.array(list(new.values()), np.int64))
        model |= new
        asked = [*model, *others]
        values, known = index.find(np.array(asked, np.uint64))
        assert known.tolist() == [key in model for key in asked]
        assert [value for value, there in zip(values.tolist(), known.tolist(), strict=True) if there] == [
            model[key] for key in asked if key in model
        ]
        assert len(index) == len(model)


def test_crowded_places_are_searched_on() -> None:
    index = HashIndex(1 << 16)
    keys = np.arange(1, 3_001, dtype=np.uint64) << np.uint64(40)  # all in place 0
    index.add(keys[:1_500], np.arange(1_500))
    index.add(keys[1_500:], np.arange(1_500, 3_000))
    values, known = index.find(keys)
    assert known.all()
    assert values.tolist() == list(range(3_000))


def test_when_full_it_starts_again() -> None:
    index = HashIndex(10)
    index.add(np.arange(1, 9, dtype=np.uint64), np.arange(8))
    assert index.drops == 0
    index.add(np.arange(20, 24, dtype=np.uint64), np.arange(4))
    assert (index.drops, len(index)) == (1, 4)
    assert index.find(np.array([1, 21], np.uint64))[1].tolist() == [False, True]
    index.add(np.arange(100, 200, dtype=np.uint64), np.arange(100))
    assert len(index) == 10
    index.clear()
    assert not index.find(np.array([21, 100], np.uint64))[1].any()
