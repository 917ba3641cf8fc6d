"""Skew: by how much the clock of a source was wrong, out of what its record and the broker say.

What: `shifts` answers, for each record that carries its source's clocks, what has to be added to its event times. The broker's
time of the record is right; the source says when it made the batch and how long ago that was when it sent it:

    error = append - (time from making to sending) - making by the source's wall clock

The time in between is that of the source's forward clock, which nobody sets; where there is none, since the machine was
started anew or the source has none, it is that of the wall clock, for errors of up to a day. An error within the bounds
moves nothing: below, a record may have been on its way for so long; above, none ever arrives before it was sent, so little is
allowed. Why here: it is a function of one record, so no cut of the log, no order and no replay shows (decision 19). It
refuses to guess: a clock that was wrong by nobody knows how much is counted, and its times stay.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollups.limits import Lateness
from schemas.limits import TIME_BOUND_MS

AHEAD, BEHIND, UNCLEAR = WORDS = ("ahead", "behind", "unclear")
DRIFT_SHIFT: Final = 12  # a forward clock gains or loses up to 1/4096 of what it measured: 21 s a day
WALL_ERROR_MS: Final = 86_400_000  # without a forward clock: a wrong zone is a matter of hours, more was never set
_NEVER: Final = 2**60  # no error is beyond it


@dataclasses.dataclass(frozen=True, slots=True)
class Shifts:
    """Of s records that have stamps, shapes (s,)."""

    by_ms: NDArray[np.int64]  # to be added to the event times; 0: nothing
    unclear: NDArray[np.bool_]  # the clock was wrong, and nobody knows by how much


def shifts(stamps: NDArray[np.int64], append_ms: NDArray[np.int64], lateness: Lateness) -> Shifts | None:
    """For stamps (4, s) that are sound, and the broker's times of their records (s,). None when no clock was wrong."""
    made, made_forward, sent, sent_forward = stamps
    forward = (made_forward > 0) & (sent_forward >= made_forward)
    between = np.where(forward, sent_forward - made_forward, sent - made)
    error = append_ms - between - made
    drift = np.where(forward, between >> DRIFT_SHIFT, 0)
    wrong = error + drift < -(lateness.skew_ahead_ms or _NEVER)
    wrong |= error - drift > (lateness.skew_behind_ms or _NEVER)
    if not wrong.any():
        return None
    clear = forward | ((between >= 0) & (np.abs(error) <= WALL_ERROR_MS))
    clear &= append_ms > 0
    return Shifts(np.where(wrong & clear, error, 0), wrong & ~clear)


def row_shifts(
    found: Shifts, stamped: NDArray[np.int64], record: NDArray[np.int64], time_ms: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(what to add to each row's event time, rows whose clock is unclear), shapes (n,).

    `record`: of each row; `stamped`: the records of the shifts. A record of which one row would leave the bounds of time is
    unclear as a whole.
    """
    records = int(record.max()) + 1
    by_ms = np.zeros(max(records, int(stamped.max()) + 1), np.int64)
    unclear = np.zeros(len(by_ms), np.bool_)
    by_ms[stamped], unclear[stamped] = found.by_ms, found.unclear
    after = time_ms + by_ms[record]
    outside = record[(after < 0) | (after >= TIME_BOUND_MS)]
    by_ms[outside], unclear[outside] = 0, True
    return by_ms[record], unclear[record]
