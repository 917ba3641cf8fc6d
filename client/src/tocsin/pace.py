"""Pace: how fast what lay in the spool is sent, when there is a way again.

What: a start at a random moment after an outage, and a cap on bytes a second for what is old; what is fresh passes. Why:
a fleet that was offline for an hour comes back in one second, and would keep everybody's fresh measurements waiting. It
refuses to hold batches.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Pace:
    """`rate`: bytes a second, 0 for no cap. `jitter`: seconds, at most, before the start. `chance`: 0 <= x < 1."""

    def __init__(
        self, rate: float, jitter: float, chance: Callable[[], float], now: Callable[[], float] = monotonic
    ) -> None:
        self.rate = rate
        self.jitter = jitter
        self._chance = chance
        self._now = now
        self._start: float | None = None
        self._tokens = 0.0
        self._filled = 0.0

    def outage(self) -> None:
        """Nothing gets through: the next catching up begins anew."""
        self._start = None

    def allows(self) -> bool:
        """Whether an old batch may be sent now."""
        now = self._now()
        if self._start is None:
            self._start = now + self._chance() * self.jitter
            self._tokens, self._filled = self.rate, self._start
        if now < self._start:
            return False
        if not self.rate:
            return True
        self._tokens = min(self.rate, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        return self._tokens > 0

    def spend(self, size: int) -> None:
        """An old batch of so many bytes was sent."""
        self._tokens -= size
