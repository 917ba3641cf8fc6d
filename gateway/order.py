"""Order: of each source, one request at a time that counts on from the last one.

What: a lock a source; a request holds those of all sources in it. Why: two requests of one stream must not both count from the
same last point, and what another source sends has nothing to do with that. It refuses nothing: who comes later waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Iterable

Source = tuple[str, str]  # tenant, source


class Order:
    """The locks that are held or waited for."""

    def __init__(self) -> None:
        self._locks: weakref.WeakValueDictionary[Source, asyncio.Lock] = weakref.WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def of(self, sources: Iterable[Source]) -> AsyncIterator[None]:
        """Alone with these sources. All take them in one order, so that no two wait for each other."""
        async with contextlib.AsyncExitStack() as held:
            for source in sorted(set(sources)):
                await held.enter_async_context(self._locks.setdefault(source, asyncio.Lock()))
            yield
