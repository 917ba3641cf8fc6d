"""Texts: what was put in comes out, in any order, with or without neighbours, before and after holes are closed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rollups.texts import Texts

SOME = [b"one", b"", b"three", b"four", b"fifth"]


def of(texts: list[bytes]) -> Texts:
    found = Texts()
    found.put(np.arange(len(texts)), b"".join(texts), np.array([len(text) for text in texts], np.int64))
    return found


def test_one_by_one_and_together_are_the_same():
    single, together = Texts(), of(SOME)
    assert [single.append(text) for text in SOME] == [0, 1, 2, 3, 4]
    assert single.all() == together.all() == b"".join(SOME)
    assert single.lengths.tolist() == together.lengths.tolist() == [3, 0, 5, 4, 5]
    assert [single[number] for number in range(len(single))] == SOME


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=30), st.data())
def test_any_numbers_in_any_order(texts, data):
    numbers = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=40))
    found, length = of(texts).take(np.array(numbers, np.int64))
    assert found == b"".join(texts[number] for number in numbers)
    assert length.tolist() == [len(texts[number]) for number in numbers]


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9)), max_size=60))
def test_numbers_are_given_new_texts_after_a_drop(changes):
    texts, expected = of([b"text %d" % number for number in range(10)]), [b"text %d" % n for n in range(10)]
    for number, text in changes:
        texts.drop(np.array([number]))
        texts.put(np.array([number]), text, np.array([len(text)]))
        expected[number] = text
    assert texts.all() == b"".join(expected)
    assert [texts[number] for number in range(10)] == expected


def test_holes_do_not_stay():
    texts = Texts()
    for number in range(1_000):
        texts.put(np.array([0]), b"x" * 100, np.array([100]))
        texts.drop(np.array([0]))
        assert len(texts._data) <= 200, number  # what this claims is not visible from outside
