"""Retry: how long to wait before the next attempt. Pure; the jitter comes from a seed.

What: exponential back-off, half of it jitter, never sooner than the receiver asked. Why seeded: the same outbox and the
same times give the same schedule, so a test and a replay see what a live system saw. It refuses to count attempts.
"""

from __future__ import annotations

import dataclasses
import hashlib

from sinks import limits


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Wait of attempt n: between half and all of min(base * 2**(n-1), most), in ms."""

    base_ms: int = limits.BACKOFF_BASE_MS
    most_ms: int = limits.BACKOFF_MAX_MS
    seed: int = 0

    def bound_ms(self, attempt: int) -> int:
        """The longest wait after attempt `attempt` (from 1) that the back-off itself asks for."""
        return min(self.most_ms, self.base_ms << min(max(attempt, 1) - 1, 40))

    def wait_ms(self, key: str, attempt: int, after_ms: int | None = None) -> int:
        """Wait after failed attempt `attempt` (from 1) of delivery `key`; at least `after_ms` when the receiver said so."""
        bound = self.bound_ms(attempt)
        wait = bound - bound * self._fraction(key, attempt) // (2 << 16)
        return wait if after_ms is None else max(wait, after_ms + bound * self._fraction(key, attempt) // (20 << 16))

    def _fraction(self, key: str, attempt: int) -> int:
        """Evenly spread over 0 .. 2**16 - 1."""
        text = f"{self.seed}\0{key}\0{attempt}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=2).digest(), "little")
