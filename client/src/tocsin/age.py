"""Age: how old what lies in the spool is, as far as clocks can tell.

What: the stamp of a record, and the seconds since. Within one run of the machine the clock that only goes forward tells;
across runs two wall clocks are compared, if a delivery confirmed each. Why: a machine without a battery for its clock begins
years in the past, and what it recorded must not be dropped for that once the clock is set. It refuses to guess: what has no
age is bounded by bytes alone.
"""

from __future__ import annotations

from tocsin import clock, limits, segment


class Age:
    """`confirmed`: whether a destination was reached by this process; then the clock could be set, too."""

    __slots__ = ("confirmed", "machine")

    def __init__(self) -> None:
        self.confirmed = False
        self.machine = segment.machine_id(clock.machine_boot())

    def stamp(self) -> tuple[int, int]:
        """Wall clock and forward clock for a record that is written now."""
        return clock.wall_ms() if self.confirmed else segment.UNKNOWN_TIME, clock.forward_ms()

    def seconds(self, entry: segment.Entry, own: bool) -> float | None:
        """Since a record was written, or None when nobody knows. `own`: by this process."""
        if own or entry.machine == self.machine != segment.UNKNOWN_MACHINE:
            return (clock.forward_ms() - entry.created_forward) / 1000
        if not self.confirmed or entry.created_wall < limits.CLOCK_WAS_SET_MS:
            return None
        return (clock.wall_ms() - entry.created_wall) / 1000
