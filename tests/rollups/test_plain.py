"""Picking, selecting and parting rows keep what hangs on them."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.plain import by_pane, picked, plain, selected
from schemas.cells import Cells
from tests.rollups.blocks import PANE_MS, block


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.randoms(use_true_random=False))
def test_picking_is_taking_with_side_columns_in_order(seed, rows, chance):
    cells = block(seed, rows, 30)
    wanted = chance.sample(range(len(cells)), chance.randrange(len(cells) + 1))
    found, taken = picked(cells, np.array(wanted, np.int64)), cells.take(np.array(wanted, np.int64))
    found.check()
    assert found.series.tolist() == taken.series.tolist()
    assert (np.diff(found.hist_row) >= 0).all()
    assert buckets(found) == buckets(taken)
    assert sorted(found.exemplar_trace.tolist()) == sorted(taken.exemplar_trace.tolist())


def buckets(cells: Cells) -> list[tuple[int, int, int]]:
    return sorted(zip(cells.hist_row.tolist(), cells.hist_bucket.tolist(), cells.hist_count.tolist(), strict=True))


def test_neighbours_are_views_and_others_are_not():
    cells = block(1, 40, 20)
    assert selected(cells, np.arange(len(cells))) is cells
    for rows in (np.arange(3, 9), np.array([1, 4]), np.zeros(0, np.int64)):
        found = selected(cells, rows)
        found.check()
        assert found.columns() == cells.take(rows).columns()
    assert np.shares_memory(selected(cells, np.arange(3, 9)).count, cells.count)


def test_definitions_and_disorder_go():
    cells = block(2, 40, 20)
    order = np.arange(len(cells.hist_row))[::-1]
    mixed = {name: getattr(cells, name)[order] for name in ("hist_row", "hist_bucket", "hist_count")}
    cells = dataclasses.replace(
        cells,
        definition_end=np.arange(1, len(cells) + 1, dtype=np.int32),
        definition_bytes=np.zeros(len(cells), np.uint8),
        **mixed,
    )
    found = plain(cells, np.arange(len(cells)))
    found.check()
    assert not len(found.definition_bytes)
    assert (np.diff(found.hist_row) >= 0).all()
    assert buckets(found) == buckets(cells)


def test_rows_come_apart_by_kind_and_pane():
    one = dataclasses.replace(block(3, 4, 2**31), series=np.array([3, 0, 2, 1], np.uint64))
    two = dataclasses.replace(one, pane_ms=np.full(4, PANE_MS - 10_000))
    parts = by_pane(Cells.concatenate([one, two]), np.array([0, 1, 0, 1], np.uint8))
    assert [(kind, start - PANE_MS, part.series.tolist()) for kind, start, part in parts] == [
        (0, -10_000, [0, 2]),
        (0, 0, [0, 2]),
        (1, -10_000, [1, 3]),
        (1, 0, [1, 3]),
    ]
    for _, _, part in parts:
        part.check()
    (alone,) = by_pane(one, np.zeros(4, np.uint8))
    assert alone[2].series.tolist() == [0, 1, 2, 3]
    assert by_pane(one.take(np.zeros(0, np.int64)), np.zeros(4, np.uint8)) == []
