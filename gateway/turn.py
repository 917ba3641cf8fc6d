"""Turn: work on the event loop in short stretches, so that nobody waits for more than one of them.

What: whoever works through many elements asks before each whether its stretch is over; then others get theirs. Why: the loop
is everybody's, and only a clock knows how long elements take: one may cost a hundred times what another does. It refuses, with
413, to go on for ever: a body of two-byte elements would take half a minute.
"""

from __future__ import annotations

import asyncio
import time

from gateway.limits import ELEMENTS, TURN_S
from gateway.refusal import too_large


class Turn:
    """One body's. `most`: elements that it may have."""

    def __init__(self, most: int = ELEMENTS) -> None:
        self._most = self._left = most
        self._end = time.monotonic() + TURN_S

    async def next(self) -> None:
        """Before an element: others first, where this stretch was long enough. Raises Refusal where they are too many."""
        self._left -= 1
        if self._left < 0:
            raise too_large(f"more than {self._most} resources, series and points; send the rest in another request")
        if time.monotonic() >= self._end:
            await asyncio.sleep(0)
            self._end = time.monotonic() + TURN_S
