"""Exact sums of floats: the same total whatever the order, the grouping or the machine.

What: a value is rounded once to the nearest multiple of 2**-40 and carried as two int64 limbs, value = whole +
frac * 2**-40. Integer addition is associative, so sums are too. Why: partials are merged in any order and must give
the same bytes. It refuses nothing: the decoder has refused NaN, infinities and |value| >= 2**43 before. The whole
limb wraps past 2**63 (a million measurements of the largest value allowed, in one cell).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollups.limits import SUM_FRACTION_BITS

_UNIT = float(1 << SUM_FRACTION_BITS)
_MASK = np.int64((1 << SUM_FRACTION_BITS) - 1)
_SHIFT = np.int64(SUM_FRACTION_BITS)

Limbs = tuple[NDArray[np.int64], NDArray[np.int64]]


def split(values: NDArray[np.float64]) -> Limbs:
    """(whole, frac) of each value, shapes (n,). NOT carried: frac is in [-2**39, 2**39]; add limbs, then `carry`.

    value - rint(value) is exact in doubles, so the only rounding is the one to 2**-40 (ties to even).
    """
    nearest = np.rint(values)
    frac = np.rint((values - nearest) * _UNIT)
    return nearest.astype(np.int64), frac.astype(np.int64)


def carry(whole: NDArray[np.int64], frac: NDArray[np.int64]) -> Limbs:
    """The one canonical form of the same sum: 0 <= frac < 2**40. Limbs may hold up to 2**23 uncarried additions."""
    return whole + (frac >> _SHIFT), frac & _MASK


def to_float(whole: NDArray[np.int64], frac: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nearest double of whole + frac * 2**-40 (within one unit in the last place: two roundings)."""
    return whole.astype(np.float64) + frac.astype(np.float64) / _UNIT
