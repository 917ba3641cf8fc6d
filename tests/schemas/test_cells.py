"""Cells: columns that fit together, and come back from the wire."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.cells import ALL_COLUMNS, Cells, CellsMismatch


def cells() -> Cells:
    return Cells.of(
        3, series=np.array([5, 6, 7]), count=np.array([1, 2, 3]), hist_row=np.array([0, 2, 2]),
        hist_bucket=np.array([1, 2, 3]), hist_count=np.array([4, 5, 6]), exemplar_row=np.array([1]),
        exemplar_value=np.array([2.5]), exemplar_time_ms=np.array([9]), exemplar_bad=np.array([1]),
        exemplar_trace=np.array([b"0123456789abcdef"], "V16"), definition_end=np.array([2, 2, 5]),
        definition_bytes=np.frombuffer(b"aaccc", np.uint8),
    )  # fmt: skip


def same(left: Cells, right: Cells) -> bool:
    return left.columns() == right.columns()


def test_columns_come_back() -> None:
    assert same(Cells.from_columns(cells().columns()), cells())
    assert set(cells().columns()) == set(ALL_COLUMNS)
    assert len(Cells.empty()) == 0
    assert same(Cells.from_columns({}), Cells.empty())


def test_definitions_are_sliced() -> None:
    assert [cells().definition(row) for row in range(3)] == [b"aa", b"", b"ccc"]


def test_take_and_concatenate() -> None:
    taken = cells().take(np.array([2, 0]))
    assert taken.series.tolist() == [7, 5]
    assert taken.hist_row.tolist() == [1, 0, 0]
    assert [taken.definition(row) for row in range(2)] == [b"ccc", b"aa"]
    assert len(taken.exemplar_row) == 0
    both = Cells.concatenate([cells(), taken])
    both.check()
    assert both.hist_row.tolist() == [0, 2, 2, 4, 3, 3]
    assert [both.definition(row) for row in range(5)] == [b"aa", b"", b"ccc", b"ccc", b"aa"]
    assert same(Cells.concatenate([]), Cells.empty())
    assert same(Cells.concatenate([cells()]), cells())


@pytest.mark.parametrize(
    "changed",
    [
        {"count": b"\0" * 8}, {"count": b"\0" * 7}, {"hist_count": b""}, {"exemplar_bad": b""},
        {"definition_bytes": b""}, {"hist_row": b"\3\0\0\0" * 3}, {"exemplar_row": b"\xff" * 4},
        {"definition_end": b"\5\0\0\0\2\0\0\0\5\0\0\0"},
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_refused(changed: dict[str, bytes]) -> None:
    with pytest.raises(CellsMismatch):
        Cells.from_columns(cells().columns() | changed)


def test_of_checks_lengths() -> None:
    with pytest.raises(CellsMismatch):
        Cells.of(2, series=np.array([1]))
