"""Breaker: stops asking a service that does not answer, and asks once in a while whether it does.

    closed --failures in a row--> open --time--> half open --success--> closed
                                    ^------------- failure, twice the time

What: three states as two numbers. Why: a thousand notifications must not each learn by itself that a service is down.
A refusal is an answer: the service works. It refuses to read a clock.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(slots=True)
class Breaker:
    """Times in ms."""

    failures_max: int = 5
    open_ms: int = 10_000
    open_ms_max: int = 120_000
    failures: int = 0  # in a row
    until_ms: int = 0  # open until; 0 while closed
    openings: int = 0  # in a row
    probing: bool = False  # half open, and the one attempt is under way

    @property
    def closed(self) -> bool:
        """Whether everything passes."""
        return self.until_ms == 0

    def allows(self, now_ms: int) -> bool:
        """Whether an attempt may begin."""
        return self.closed or (now_ms >= self.until_ms and not self.probing)

    def began(self) -> None:
        """An attempt begins; while not closed it is the probe."""
        self.probing = not self.closed

    def succeeded(self) -> None:
        """The service answered."""
        self.failures, self.until_ms, self.openings, self.probing = 0, 0, 0, False

    def failed(self, now_ms: int) -> bool:
        """The service did not answer, or answered that it cannot. Whether that opened the breaker."""
        was_closed, probe = self.closed, self.probing
        self.failures += 1
        self.probing = False
        if probe or (was_closed and self.failures >= self.failures_max):
            self.until_ms = now_ms + min(self.open_ms << min(self.openings, 20), self.open_ms_max)
            self.openings += 1
            return was_closed
        return False
