"""Buckets found with whole numbers are those of the product, which finds them in a double's bits."""

from __future__ import annotations

import numpy as np

from demo import sketch
from rollups import histogram


def test_every_edge_and_its_neighbours_lie_where_the_product_has_them() -> None:
    edges = {sketch.largest(bucket) for bucket in range(sketch.AN_OCTAVE * sketch.OCTAVES)}
    near = sorted({value + by for value in edges for by in (-1, 0, 1)} | set(range(1_100)))
    values = np.array([*near, *(-value for value in near), 2**43 - 1, 2**50], np.int64)
    assert sketch.codes(values).tolist() == histogram.bucket(values.astype(np.float64)).tolist()


def test_a_bucket_holds_its_upper_edge_and_not_its_lower() -> None:
    one = sketch.AN_OCTAVE * sketch.OCTAVES_BELOW_ONE
    assert sketch.codes(np.array([0, 1, 2, 3, 4, 5, -2])).tolist() == [
        0,
        one,
        one + 8,
        one + 13,
        one + 16,
        one + 19,
        -one - 8,
    ]


def test_two_in_sum() -> None:
    assert sketch.both(((1, 2), (5, 1)), ((0, 1), (5, 3))) == ((0, 1), (1, 2), (5, 4))
    assert sketch.both((), ((3, 1),)) == sketch.both(((3, 1),), ()) == ((3, 1),)
