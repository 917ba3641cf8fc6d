"""Budget: at most so many sends in any window that ends now, with a part kept for pages.

What: the times of the sends of the last window. Why sliding: PagerDuty counts the last sixty seconds, whenever they
began; a fixed window would send twice the limit around its edge. Why a reserve: in a storm of tickets, the next page
must not wait for a minute. It refuses to read a clock.
"""

from __future__ import annotations

import collections

from sinks import limits


class Budget:
    """At most `most` sends in `window_ms` (0: no limit); all but `reserve` of them for what is not urgent."""

    def __init__(self, most: int, window_ms: int = limits.WINDOW_MS, reserve: int | None = None) -> None:
        self.most, self.window_ms = most, window_ms
        self.reserve = most // 4 if reserve is None else reserve
        self.sent: collections.deque[int] = collections.deque()

    def free_at(self, now_ms: int, urgent: bool) -> int:
        """When the next send may begin: `now_ms`, or later."""
        if not self.most:
            return now_ms
        while self.sent and self.sent[0] <= now_ms - self.window_ms:
            self.sent.popleft()
        room = self.most if urgent else max(1, self.most - self.reserve)
        if len(self.sent) < room:
            return now_ms
        return self.sent[len(self.sent) - room] + self.window_ms

    def spend(self, now_ms: int) -> None:
        """A send begins."""
        if self.most:
            self.sent.append(now_ms)
