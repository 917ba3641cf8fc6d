"""Adding plain blocks equals combine, byte by byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups import addition
from rollups.combine import combine
from rollups.latest import difference
from schemas.cells import Cells
from tests.rollups.blocks import block


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 60)), min_size=2, max_size=5), st.integers(1, 80))
def test_the_sum_is_what_combine_answers(seeds, top):
    blocks = [block(seed, rows, top) for seed, rows in seeds]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(addition, "DENSE_ROWS", 0)
        found = addition.added(blocks)
    assert found.columns() == combine(Cells.concatenate(blocks)).columns()
    assert addition.added(blocks).columns() == found.columns()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_a_difference_added_to_the_old_gives_the_new(seed, more):
    old = block(seed, 40, 30)
    new = combine(Cells.concatenate([old, block(more, 40, 50)]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(addition, "DENSE_ROWS", 0)
        assert addition.added([old, difference(new, old)]).columns() == new.columns()


def test_nothing_and_one_block():
    one = block(1, 10, 5)
    assert len(addition.added([])) == 0
    assert addition.added([one]) is one
