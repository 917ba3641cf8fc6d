"""Line: large bodies one after the other, and of each tenant only one that waits with the others.

What: so many places, and a line before them. Why: what takes long must be bounded in how many of it run at once; and a tenant
with twenty large bodies waits for itself, while another's comes next. It refuses with 503 who has waited too long: its client
still has the body.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator

from gateway.refusal import busy

REASON = "large"


class Line:
    """`places` at once; `wait_s` is the longest wait."""

    def __init__(self, places: int, wait_s: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._wait_s = wait_s
        self._first: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Hold one. Raises Refusal (503)."""
        first = self._first.setdefault(tenant, asyncio.Lock())
        async with contextlib.AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait_s):
                    async with first:
                        await held.enter_async_context(self._places)
            except TimeoutError:
                raise busy(REASON, "too many large bodies at the moment; smaller ones do not wait", 2) from None
            yield
