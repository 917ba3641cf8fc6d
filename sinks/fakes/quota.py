"""Quota: at most so many events in the last minute, as a service counts them that says when to come again.

What: `wait_s` answers how long until the next event would be taken, or counts it. It refuses to smooth: a window of a minute slides.
"""

from __future__ import annotations

import collections

WINDOW_MS = 60_000


class Quota:
    """By key. `per_minute` of 0: no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._recent: dict[str, collections.deque[int]] = {}

    def wait_s(self, key: str, at_ms: int) -> int:
        """Seconds until the next event of this key would be taken; 0: now, and it is counted."""
        recent = self._recent.setdefault(key, collections.deque())
        while recent and recent[0] <= at_ms - WINDOW_MS:
            recent.popleft()
        if self._per_minute and len(recent) >= self._per_minute:
            return max(1, -(-(recent[0] + WINDOW_MS - at_ms) // 1000))
        recent.append(at_ms)
        return 0
