"""The watchdog: a worker that consumes nothing must not live on.

What: each few seconds asks aiokafka for errors that Faust never raises (trap 5), and judges progress: a partition
whose fence stands still while its end is ahead is stuck after `stuck_after_s`. Why progress and not time: an idle
partition, a restore and a long catch-up are all healthy. A stuck worker ends; its partitions move to one that works.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import structlog

from streams import errors, selfmetrics
from streams.stage import Stage
from streams.step import Step
from streams.transport import aiokafka_consumer

log = structlog.get_logger(__name__)
EVERY_S = 2.0


class Watchdog:
    """One a process."""

    ends: errors.Ending = staticmethod(errors.end_process)

    def __init__(
        self,
        app: Any,
        stages: Sequence[Stage[Step]],
        stuck_after_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._stages, self._stuck_after_s, self._clock = app, stages, stuck_after_s, clock
        self._moved: dict[tuple[str, int], tuple[int, float]] = {}
        self.turned_at = clock()

    async def run(self) -> None:
        """Until the app stops."""
        process = psutil.Process()
        while not self._app.should_stop:
            await asyncio.sleep(EVERY_S)
            self.turned_at = self._clock()
            selfmetrics.RSS.set(process.memory_info().rss)
            reason = await self._consumer_error() or self.stuck()
            if reason:
                self.ends(errors.EXIT_RESTART, reason)

    async def _consumer_error(self) -> str:
        """What aiokafka would tell a consumer that calls its own getmany; Faust does not."""
        consumer = aiokafka_consumer(self._app)
        coordinator = getattr(consumer, "_coordinator", None)
        if coordinator is None:
            return ""
        try:
            coordinator.check_errors()
        except Exception as error:  # noqa: BLE001  # whatever it is, the consumer is done for
            return f"the group coordinator failed: {error!r}"
        task = getattr(coordinator, "_coordination_task", None)
        return "the group coordination task has ended" if task is not None and task.done() else ""

    def stuck(self) -> str:
        """Why the worker is stuck; empty if it is not."""
        now = self._clock()
        for stage in self._stages:
            for partition, held in stage.held.items():
                place = (stage.topic, partition)
                fence, since = self._moved.get(place, (-2, now))
                behind = stage.behind(partition)
                if fence != held.step.fence or not behind:
                    self._moved[place] = (held.step.fence, now)
                elif now - since > self._stuck_after_s:
                    return f"{stage.topic}[{partition}] stands at {fence}, {behind} behind, for {now - since:.0f} s"
        return ""
