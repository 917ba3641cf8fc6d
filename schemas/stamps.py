"""Stamps: what a source's clocks said when a batch was made and when it was sent.

What: four numbers a batch, in the order of the schema: wall clock and forward clock at its making, the same at this try to
send it; which of them can be believed at all, and how a relay that held a batch moves the two of sending on, or takes
them out. Why: event
times are the source's, and its clock may be wrong; with the broker's time of the record these four say by how much. It
refuses to correct anything: that is for `rollups.skew`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.corrupt import CorruptRecord
from schemas.framing import single_object
from schemas.limits import RECORD_BYTES, TIME_BOUND_MS
from schemas.telemetry_schema import BATCH
from schemas.walk import number, read_long

FIELDS: Final = ("created_wall_ms", "created_mono_ms", "sent_wall_ms", "sent_mono_ms")
_BATCH: Final = single_object(BATCH)
_TEXTS, _NUMBERS = 2, 4  # fields before those of sending: source, boot; sequence, base, the two of its making


def sound(stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which stamps, shape (4, n), say something: both wall clocks are there, and nothing is out of bounds.

    A forward clock of 0 is not known. Whoever has no clocks to tell of, such as a foreign protocol's adapter, writes zeros.
    """
    within = (stamps >= 0) & (stamps < TIME_BOUND_MS)
    return np.asarray(within.all(axis=0) & (stamps[0] > 0) & (stamps[2] > 0))


def held(value: bytes, by_ms: int) -> bytes:
    """A framed record that a relay held for so long: its clocks of sending as they are now, all else as it was.

    Records without stamps, of another schema, or without room for a longer number stay as they are.
    """
    found = _sending(value) if by_ms > 0 else None
    if found is None:
        return value
    at, wall, forward, end = found
    moved = value[:at] + number(wall + by_ms) + number(forward + by_ms if forward > 0 else forward) + value[end:]
    return moved if len(moved) <= RECORD_BYTES else value


def unsent(value: bytes) -> bytes:
    """A framed record that waited nobody knows how long since it was stamped: without clocks of sending, all else as it was."""
    found = _sending(value)
    return value if found is None else value[: found[0]] + number(0) + number(0) + value[found[3] :]


def _sending(value: bytes) -> tuple[int, int, int, int] | None:
    """(first byte of the clocks of sending, wall clock, forward clock, byte behind them) where there is a wall clock."""
    if not value.startswith(_BATCH):
        return None
    at = len(_BATCH)
    try:
        for _ in range(_TEXTS):
            size, at = read_long(value, at)
            at += max(size, 0)
        for _ in range(_NUMBERS):
            _, at = read_long(value, at)
        wall, end = read_long(value, at)
        forward, end = read_long(value, end)
    except CorruptRecord:
        return None  # whoever reads it says why
    return (at, wall, forward, end) if wall > 0 else None
