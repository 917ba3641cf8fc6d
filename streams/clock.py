"""The worker's time: it goes on by itself, and is only drawn towards the wall clock.

What: `SteadyClock.now` begins as the wall clock, then moves with the machine's steady clock, up to SLEW faster or slower
for as long as the wall clock says something else. Why: heartbeats, provisional rows and idle time are intervals; a wall
clock that is set back must not stop them, one that is set forward must not let hours pass that did not. It refuses to go
back, to leap, and to hide a wall clock that was set: that is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from streams import selfmetrics
from streams.limits import CLOCK_SLEW, CLOCK_STEP_S


def steady() -> float:
    """Seconds since some moment, time in which the machine was suspended included where the system tells it."""
    which = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if which is None else time.clock_gettime(which)


class SteadyClock:
    """Seconds since the epoch, never less than before. One instance a process."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = steady) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._now, self._read = wall(), monotonic()
        self._ahead_s = 0.0  # wall clock less this one, when both were last read

    def now(self) -> float:
        """The time in seconds."""
        read = self._monotonic()
        passed, self._read = max(0.0, read - self._read), read
        self._now += passed
        ahead_s = self._wall() - self._now
        if abs(ahead_s - self._ahead_s) > CLOCK_STEP_S:
            selfmetrics.clock_stepped(ahead_s - self._ahead_s)
        most = CLOCK_SLEW * passed
        drawn = min(max(ahead_s, -most), most)
        self._now += drawn
        self._ahead_s = ahead_s - drawn
        selfmetrics.CLOCK_AHEAD.set(self._ahead_s)
        return self._now

    def now_ms(self) -> int:
        """The time in milliseconds."""
        return int(self.now() * 1000)
