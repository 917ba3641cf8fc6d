"""The newest row of one source partition, late rows, differences."""

import dataclasses

import numpy as np

from rollups.latest import difference, fresh, offsets_of, resolve, rows_of
from rollups.plain import NO_CELLS
from schemas.cells import FLAG_LATE, Cells


def cells(*rows: tuple[int, int, int], late: bool = False) -> Cells:
    """(series, as-of offset, count) of each row, with one bucket that holds the count."""
    series, offset, count = (list(column) for column in zip(*rows, strict=True))
    return Cells.of(
        len(rows),
        series=series,
        offset=offset,
        count=count,
        flags=[FLAG_LATE * late] * len(rows),
        hist_row=np.arange(len(rows)),
        hist_bucket=series,
        hist_count=count,
    )


def counts(block: Cells) -> list[tuple[int, int, int]]:
    assert block.hist_row.tolist() == list(range(len(block)))
    assert block.hist_bucket.tolist() == block.series.tolist()
    assert block.hist_count.tolist() == block.count.tolist()
    return list(zip(block.series.tolist(), block.offset.tolist(), block.count.tolist(), strict=True))


def test_the_higher_offset_replaces():
    now, changed = resolve(cells((1, 5, 1), (2, 5, 2), (4, 5, 4)), cells((1, 6, 10), (2, 5, 20), (3, 1, 30)))
    assert counts(now) == [(1, 6, 10), (2, 5, 2), (3, 1, 30), (4, 5, 4)]
    assert changed.tolist() == [1, 3]


def test_of_two_rows_in_one_block_the_later_counts():
    now, changed = resolve(NO_CELLS, cells((1, 5, 1), (1, 6, 2), (2, 5, 3)))
    assert counts(now) == [(1, 6, 2), (2, 5, 3)]
    assert changed.tolist() == [1, 2]


def test_all_replaced_and_none():
    known = cells((1, 5, 1), (2, 5, 2))
    assert counts(resolve(known, cells((1, 7, 3), (2, 7, 4)))[0]) == [(1, 7, 3), (2, 7, 4)]
    now, changed = resolve(known, cells((1, 5, 3), (2, 4, 4)))
    assert now is known
    assert not len(changed)


def test_late_rows_are_added_if_they_are_newer():
    now, changed = resolve(cells((1, 5, 1)), cells((1, 5, 1), (1, 6, 1), (1, 7, 1), (2, 3, 1), late=True))
    assert counts(now) == [(1, 7, 3), (2, 3, 1)]
    assert changed.tolist() == [1, 2]
    assert not now.flags.any()


def test_late_rows_come_after_the_cumulative_rows_of_their_block():
    both = Cells.concatenate([cells((1, 6, 4)), cells((1, 6, 1), (1, 8, 1), late=True)])
    assert counts(resolve(cells((1, 2, 1)), both)[0]) == [(1, 8, 5)]


def test_what_is_stale_is_not_fresh():
    assert counts(fresh(cells((1, 5, 1)), cells((1, 5, 1), (1, 9, 2), late=True))) == [(1, 9, 2)]
    assert not len(fresh(cells((1, 5, 1)), cells((1, 5, 1), late=True)))


def test_rows_and_offsets_by_series():
    known = cells((1, 5, 1), (4, 6, 2))
    wanted = np.array([0, 1, 3, 4, 9], np.uint64)
    assert offsets_of(known, wanted).tolist() == [-1, 5, -1, 6, -1]
    assert offsets_of(NO_CELLS, wanted).tolist() == [-1] * 5
    assert counts(rows_of(known, wanted)) == [(1, 5, 1), (4, 6, 2)]
    assert not len(rows_of(known, wanted[:0]))
    assert not len(rows_of(NO_CELLS, wanted))


def test_a_difference_counts_what_changed():
    old, new = cells((1, 5, 1), (2, 5, 2)), cells((1, 6, 4), (2, 6, 2), (3, 6, 1))
    assert [(row[0], row[2]) for row in counts(difference(new, old))] == [(1, 3), (3, 1)]


def test_a_difference_counts_fingerprints_too():
    old = cells((1, 5, 1))
    new = dataclasses.replace(old, fingerprint=np.array([7], np.uint64))
    assert difference(new, old).fingerprint.tolist() == [7]
