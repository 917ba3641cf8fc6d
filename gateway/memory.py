"""Memory: a budget of bytes for all requests together.

What: a request holds a share from its first byte to its answer. Why: each request is bounded, but a thousand of them at
once are not, above all when the broker answers slowly; what does not fit is refused at the door with 503 and never
waits; and a noisy tenant does not push the others out. It refuses to lend: a share that would not fit is not given in
part.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gateway.limits import ALONE, FAIR_FROM
from gateway.refusal import busy


class Budget:
    """Bytes in use, and the most that may be. One event loop, no lock. `full`: reason and detail of a refusal for all."""

    def __init__(self, most: int, full: tuple[str, str] = ("memory", "the gateway is full at the moment")) -> None:
        self.most = most
        self._full = full
        self.by_tenant: dict[str, int] = {}
        self.used = 0
        self.peak = 0

    @property
    def share(self) -> float:
        """How full it is, 0 to 1."""
        return self.used / self.most

    def room(self, size: int, tenant: str) -> None:
        """Raises Refusal (503) when they do not fit, or the tenant has its fair part already.

        Beyond one half, nobody holds more than an equal part of the whole; and one alone leaves a quarter for others.
        """
        used, mine = self.used + size, self.by_tenant.get(tenant, 0) + size
        if used > self.most:
            raise busy(*self._full)
        holders = len(self.by_tenant) + (tenant not in self.by_tenant)
        if used > self.most * FAIR_FROM and mine > self.most * min(ALONE, 1 / holders):
            raise busy("share", "the gateway is busy, and this tenant holds its part of it")

    def take(self, size: int, tenant: str) -> None:
        """Hold them. Raises Refusal as `room` does."""
        self.room(size, tenant)
        self.used += size
        self.by_tenant[tenant] = self.by_tenant.get(tenant, 0) + size
        self.peak = max(self.peak, self.used)

    def give_back(self, size: int, tenant: str) -> None:
        """The end of a share."""
        self.used -= size
        left = self.by_tenant.get(tenant, 0) - size
        if left > 0:
            self.by_tenant[tenant] = left
        else:
            self.by_tenant.pop(tenant, None)


class Share:
    """One request's part of a budget; given back at the end of the `with`."""

    def __init__(self, budget: Budget, tenant: str = "") -> None:
        self._budget = budget
        self._tenant = tenant
        self.size = 0

    def room(self, size: int) -> None:
        """Whether so many would fit now. Raises Refusal (503)."""
        self._budget.room(size, self._tenant)

    def grow(self, size: int) -> None:
        """Hold so many bytes more. Raises Refusal (503)."""
        self._budget.take(size, self._tenant)
        self.size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self.size, self._tenant)
        self.size = 0
