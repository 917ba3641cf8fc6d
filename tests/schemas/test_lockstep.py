"""Lockstep: numbers and lengths of many records at once; whatever is odd is marked, and nothing leaves a record."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.corrupt import CorruptRecord
from schemas.lockstep import PADDING_BYTES, Lockstep
from schemas.walk import number, read_long, walk_bytes


def over(values: list[bytes]) -> Lockstep:
    end = np.cumsum([len(value) for value in values])
    start = end - [len(value) for value in values]
    return Lockstep(np.frombuffer(b"".join(values) + bytes(PADDING_BYTES), np.uint8), start, end)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=12) | st.integers(-(2**63), 2**63 - 1).map(number), min_size=1, max_size=10))
def test_numbers_are_those_of_the_strict_reader_or_marked(values: list[bytes]) -> None:
    step = over(values)
    first = step.at
    got = step.long()
    for row, data in enumerate(values):
        try:
            value, end = read_long(data, 0)
        except CorruptRecord:
            assert not step.ok[row]
            continue
        assert bool(step.ok[row]) == (end <= 8)
        if end <= 8:
            assert (int(got[row]), int(step.at[row] - first[row])) == (value, end)
    assert (step.at <= step.end).all()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.builds(lambda size, body: number(size) + body, st.integers(-3, 90), st.binary(max_size=90)),
        min_size=1,
        max_size=8,
    )
)
def test_fields_are_those_of_the_strict_reader_or_marked(values: list[bytes]) -> None:
    step = over(values)
    first = step.at
    start, size = step.field()
    for row, data in enumerate(values):
        try:
            end = walk_bytes(data, 0, 0)
        except CorruptRecord:
            assert not step.ok[row]
            continue
        assert step.ok[row]
        assert int(step.at[row] - first[row]) == end
        assert int(start[row] + size[row]) == int(step.at[row])


def test_a_marked_record_stays_marked_and_inside() -> None:
    step = over([number(2**50) + b"abc", number(1) + b"abc"])
    for _ in range(5):
        step.field()
        step.long()
        step.skip(3)
        assert (step.at <= step.end).all()
    assert step.ok.tolist() == [False, False]


def test_a_start_behind_the_end_is_marked() -> None:
    buffer = np.zeros(40, np.uint8)
    step = Lockstep(buffer, np.array([10, 3]), np.array([2, 5]))
    assert step.ok.tolist() == [False, True]
    assert step.at.tolist() == [2, 3]
