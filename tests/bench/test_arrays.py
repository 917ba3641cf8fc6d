"""Arrays: the limit does the work that it is a limit of.

What: one chunk against the truth's windows. Why: arrays that skip a cell would make everybody look slow. It refuses to
time anything.
"""

from __future__ import annotations

from bench.arrays import END_MS, SERIES, fold, limit
from bench.truth import all_rows, windows
from bench.workloads import Load


def test_a_chunk_has_the_cells_of_the_truth():
    rows = all_rows(Load(20_000, SERIES, 1_000.0), END_MS)
    assert fold(rows, slice(0, 20_000)) == len(windows(rows))


def test_the_first_pass_is_left_out():
    said: list[str] = []
    (figure,) = limit(50_000, 2, said.append)
    assert len(figure.samples) == len(said) == 2
