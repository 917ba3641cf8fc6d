"""Virtual time: one clock for the world, and an event loop a worker that reads it and never sleeps.

A loop a worker, because a worker can then be frozen (its loop is not turned) and killed (its loop is dropped) at any
point, and because whose turn it is can be drawn from the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math


class Killed(SystemExit):
    """The process ends here and now. Asyncio lets a SystemExit out of any task at once."""


class Clock:
    """Seconds since the world began."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic(self) -> float:
        """In place of the module `time`."""
        return self.s

    def sleep(self, _: float) -> None:
        """In place of the module `time`: a load waits for nobody here."""


class WorkerLoop(asyncio.BaseEventLoop):
    """An event loop without sockets; `turn` runs what is ready, once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._virtual = clock
        self._selector = self
        self.set_exception_handler(lambda *_: None)  # what fails in a worker shows in what it did not do

    def time(self) -> float:
        return self._virtual.s

    def select(self, _: float | None) -> list:
        return []

    def _process_events(self, events: list) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    @property
    def due_s(self) -> float:
        """When a turn would do something."""
        if self._ready:
            return -math.inf
        return self._scheduled[0].when() if self._scheduled else math.inf

    def turn(self) -> None:
        """What is ready, and no more. Raises Killed when one of the tasks does."""
        self.call_soon(self.stop)
        self.run_forever()

    def drop(self) -> None:
        """The process is gone. Its coroutines are closed here, so that none is closed later by the collector."""
        before = asyncio._get_running_loop()
        # a coroutine that ends with a `gather` outside of a loop makes one, and leaves it open
        asyncio._set_running_loop(self)
        try:
            for task in asyncio.all_tasks(self):
                task._log_destroy_pending = False
                with contextlib.suppress(Exception, SystemExit):
                    task.get_coro().close()
            self._ready.clear()
            self._scheduled.clear()
            self.close()
        finally:
            asyncio._set_running_loop(before)
