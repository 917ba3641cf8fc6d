"""Large: what is done with bodies that take longer than anybody else should wait.

What: those of a form that can only be read in one piece are read in a process beside this one; those that can be worked
through in turns get the loop one after the other. Small ones are read at once, where they are. Why: one body of JSON would
stop every other client for a second (docs/decisions/0018 has the figures). It refuses with 503 what would have to wait too
long, and what was with a process that died; with 413 what takes that process too long.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import structlog

from gateway import selfmetrics
from gateway.beside import Ended, Part, Process, TooSlow, Work
from gateway.limits import LARGE_BYTES, LARGE_WAIT_S
from gateway.line import REASON, Line
from gateway.refusal import busy, too_large

log = structlog.get_logger(__name__)


class Large:
    """One for all protocols. `processes`: how many bodies may be read beside the loop at once."""

    def __init__(self, processes: int = 1) -> None:
        self._beside, self._loop = Line(processes, LARGE_WAIT_S), Line(1, LARGE_WAIT_S)
        self._threads = ThreadPoolExecutor(processes, "large")
        self._idle: list[Process] = []  # popped and appended by threads
        self._asking: set[Process] = set()
        self._closed = False

    async def read(self, tenant: str, work: Work[Part], body: bytes, *arguments: object) -> list[Part]:
        """What `work(body, *arguments)` yields; it is a function of a module, or a class. Raises Refusal."""
        if len(body) <= LARGE_BYTES:
            return list(work(body, *arguments))
        async with self._beside.place(tenant):
            selfmetrics.LARGE.labels("beside").inc()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._asked, work, body, *arguments)

    @contextlib.asynccontextmanager
    async def turns(self, tenant: str, size: int) -> AsyncIterator[None]:
        """To work through a body of so many bytes in turns: one large one at a time. Raises Refusal."""
        if size <= LARGE_BYTES:
            yield
            return
        async with self._loop.place(tenant):
            selfmetrics.LARGE.labels("turns").inc()
            yield

    def _asked(self, work: Work[Part], *arguments: object) -> list[Part]:
        """On a thread. Raises Refusal."""
        process = self._process()
        self._asking.add(process)
        try:
            if self._closed:
                raise busy(REASON, "the gateway ends", 1)
            return process.ask(work, *arguments)
        except Ended as ended:
            why = "slow" if isinstance(ended, TooSlow) else "died"
            selfmetrics.BESIDE_ENDED.labels(why).inc()
            log.warning("beside_ended", why=why)
            if why == "slow":
                raise too_large("the body takes too long to read; send it in parts") from ended
            raise busy(REASON, "the process that read the body has ended", 1) from ended
        finally:
            self._asking.discard(process)
            self._idle.append(process)

    def _process(self) -> Process:
        """One that lives and has nothing to do."""
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            process.end()
        return Process()

    def close(self) -> None:
        """End the processes, and what is still being read with them; then nothing is read any more."""
        self._closed = True
        for process in tuple(self._asking):
            process.kill()
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().end()
