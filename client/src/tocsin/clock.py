"""Clock: what time it is, how much time went by, and which run of the machine that holds for.

What: wall clock, a clock that only goes forward (also while the machine sleeps, where the system has one), the id of
the machine's boot, and `Anchor`, which makes one out of the two. Why: a wall clock may be stepped at any moment, by NTP
after a boot or by a person; measurements of one batch must agree with each other and with the clocks that the batch is
stamped with. It refuses to correct what was measured: the pairs of clocks in a batch let the platform do that.
"""

from __future__ import annotations

import time
from time import monotonic_ns, time_ns

STEP_NS = 250_000_000  # a difference below this is drift, and followed at once

_FORWARD = getattr(time, "CLOCK_BOOTTIME", None)


def wall_ms() -> int:
    """Wall clock, ms since epoch."""
    return time_ns() // 1_000_000


def forward_ms() -> int:
    """Milliseconds since an origin that holds until the machine starts anew; goes on while it sleeps."""
    if _FORWARD is None:
        return monotonic_ns() // 1_000_000
    return time.clock_gettime_ns(_FORWARD) // 1_000_000


def machine_boot() -> str:
    """Id of this run of the machine, within which `forward_ms` has one origin; empty where the system tells none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def offset_ns() -> int:
    """What has to be added to `monotonic_ns()` to get the wall clock, now."""
    return time_ns() - monotonic_ns()


def asleep_ns() -> int:
    """What has to be added to `monotonic_ns()` to get the forward clock, now: it grows while the machine sleeps."""
    return 0 if _FORWARD is None else time.clock_gettime_ns(_FORWARD) - monotonic_ns()


class Anchor:
    """The offset that measurements are timed with. It follows drift; a step, also by sleep, waits for `settle`."""

    __slots__ = ("asleep", "offset", "steps")

    def __init__(self) -> None:
        self.offset, self.asleep = offset_ns(), asleep_ns()
        self.steps = 0

    def stepped(self) -> bool:
        """Whether the wall clock was stepped since the offset was taken. Drift is taken over."""
        now = offset_ns()
        if abs(now - self.offset) >= STEP_NS:
            return True
        self.offset, self.asleep = now, asleep_ns()
        return False

    def settle(self) -> None:
        """Take the wall clock as it is now."""
        self.offset, self.asleep = offset_ns(), asleep_ns()
        self.steps += 1

    def wall_ms(self) -> int:
        """The wall clock as the measurements see it, ms since epoch."""
        return (monotonic_ns() + self.offset) // 1_000_000

    def forward_ms(self) -> int:
        """The forward clock at that moment. Time asleep since the offset was taken is in neither, so the two fit together."""
        return (monotonic_ns() + self.asleep) // 1_000_000
