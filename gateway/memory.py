"""Memory: a budget of bytes for all requests together.

What: a request holds a share from its first byte to its answer. Why: each request is bounded, but a thousand of them at
once are not, above all when the broker answers slowly; what does not fit is refused at the door with 503 and never
waits. It refuses to lend: a share that would not fit is not given in part.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gateway.refusal import busy


class Budget:
    """Bytes in use, and the most that may be. One event loop, no lock."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self.peak = 0

    @property
    def share(self) -> float:
        """How full it is, 0 to 1."""
        return self.used / self.most

    def take(self, size: int) -> None:
        """Raises Refusal (503) when they do not fit."""
        if self.used + size > self.most:
            raise busy("memory", "the gateway is full at the moment")
        self.used += size
        self.peak = max(self.peak, self.used)


class Share:
    """One request's part of a budget; given back at the end of the `with`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold so many bytes more. Raises Refusal (503)."""
        self._budget.take(size)
        self.size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.used -= self.size
        self.size = 0
