"""Cutting: nothing is lost, moved or too large."""

from __future__ import annotations

import numpy as np
import pytest

from rollups.cut import in_pieces, pieces
from rollups.limits import NEVER
from schemas.cells import ALL_COLUMNS, Cells
from schemas.records import PartialBatch


def block(rows: int, buckets: int = 3) -> Cells:
    return Cells.of(
        rows,
        series=np.arange(rows, dtype=np.uint64),
        count=np.arange(rows),
        hist_row=np.repeat(np.arange(rows), buckets),
        hist_bucket=np.tile(np.arange(buckets), rows),
        hist_count=np.arange(buckets * rows),
        definition_end=np.arange(1, rows + 1) * 5,
        definition_bytes=np.arange(5 * rows) % 251,
    )


@pytest.mark.parametrize("most", [1, 200, 10_000, 1 << 20])
def test_the_pieces_in_order_are_the_whole(most: int) -> None:
    whole = block(100)
    found = pieces(whole, most)
    for piece in found:
        piece.check()
    again = Cells.concatenate(found)
    assert all(np.array_equal(getattr(again, name), getattr(whole, name)) for name in ALL_COLUMNS)


def test_no_piece_is_larger_than_asked_unless_a_row_is() -> None:
    assert all(sum(map(len, piece.columns().values())) <= 10_000 for piece in pieces(block(1_000), 10_000))
    assert [len(piece) for piece in pieces(block(3, 50), 100)] == [1, 1, 1]


def test_what_fits_is_left_alone_and_nothing_is_one_piece() -> None:
    whole = block(10)
    assert pieces(whole)[0] is whole
    assert len(pieces(Cells.empty())) == 1


def test_a_large_batch_moves_time_with_its_last_piece_only(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = Cells.of(3, series=np.arange(3, dtype=np.uint64))
    monkeypatch.setattr("rollups.cut.pieces", lambda block: pieces(block, 1))
    batch = PartialBatch(1, 9, 0, 5, (7, 7, 7, 7), (8, 8, 8, 8), cells)
    *before, last = in_pieces(batch)
    assert [len(one.cells) for one in [*before, last]] == [1, 1, 1]
    assert all(max(one.watermarks) == max(one.max_event_ms) == one.now_ms == NEVER for one in before)
    assert (last.watermarks, last.max_event_ms, last.now_ms) == (batch.watermarks, batch.max_event_ms, batch.now_ms)
    assert {one.as_of for one in [*before, last]} == {9}
