"""Folded blocks come back bit by bit, and are small."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.folding import fold, unfold
from rollups.packing import CorruptState
from rollups.plain import NO_CELLS
from schemas.cells import Cells
from tests.rollups.blocks import PANE_MS, block


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 200), st.booleans())
def test_what_comes_back_is_equal_to_the_bit(seed, rows, top, fine):
    cells = block(seed, rows, top, fine)
    assert unfold(fold(cells)).columns() == cells.columns()


def test_no_rows():
    assert unfold(fold(NO_CELLS)).columns() == NO_CELLS.columns()


def test_extremes():
    """Values at the decoder's bounds, counts and offsets of any size, ids beyond the sign, an empty cell in between."""
    edge = 2.0**43 - 2.0**-9
    cells = Cells.of(
        4,
        series=[0, 1, 2, 2**32],
        pane_ms=np.full(4, PANE_MS),
        offset=[-1, 0, 2**62, 5],
        count=[1, 2, 0, 2**50],
        sum_whole=[2**62, -(2**62), 0, 1],
        sum_frac=[2**40 - 1, 0, 0, 1],
        low=[-edge, 5e-324, 0.0, -0.0],
        high=[edge, edge, 0.0, 0.0],
        good=[0, 2**60, 3, 2**20],
        total=[2**62, 2**61, 3, 2**20],
        fingerprint=np.array([2**64 - 1, 0, 1, 2], np.uint64),
        hist_row=[0, 0, 3],
        hist_bucket=[-664, 664, 0],
        hist_count=[1, 2**40, 7],
    )
    assert unfold(fold(cells)).columns() == cells.columns()


def test_buckets_out_of_order_come_back_in_order():
    cells = block(1, 50, 5)
    backwards = {name: getattr(cells, name)[::-1] for name in ("hist_row", "hist_bucket", "hist_count")}
    assert unfold(fold(dataclasses.replace(cells, **backwards))).columns() == cells.columns()


def test_cells_of_one_measurement_cost_little_more_than_their_value():
    """8 bytes of value, of which zstd saves some; sum, high, bucket, good and total follow from it."""
    cells = block(7, 20_000, 2**31)
    plain = dataclasses.replace(
        cells,
        offset=np.full(len(cells), 9),
        series=np.arange(len(cells), dtype=np.uint64),
        fingerprint=np.zeros(len(cells), np.uint64),
        exemplar_row=cells.exemplar_row[:0],
        exemplar_value=cells.exemplar_value[:0],
        exemplar_time_ms=cells.exemplar_time_ms[:0],
        exemplar_bad=cells.exemplar_bad[:0],
        exemplar_trace=cells.exemplar_trace[:0],
    )
    assert len(fold(plain)) < 9 * len(plain)


def test_bytes_that_are_no_block_are_refused():
    data = bytearray(fold(block(3, 20, 5)))
    data[-1] ^= 1
    with pytest.raises(CorruptState):
        unfold(bytes(data))
