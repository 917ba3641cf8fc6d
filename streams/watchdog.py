"""The watchdog: a worker that consumes nothing must not live on.

What: each few seconds asks aiokafka for errors that Faust never raises (trap 5), and judges progress: a partition whose
fence stands still while its end is ahead, an assigned partition that is not restored, a checkpoint that is not done.
Where a partition stands still the broker itself is asked for its end, since a consumer that fetches nothing does not
know it. A thread beside the event loop ends a process whose loop no longer turns, or that was told to stop and does
not: Faust waits for ever for a consumer thread that has crashed. Why progress and not time: an idle partition, a
restore and a long catch-up are all healthy. It refuses to repair: a stuck worker ends, and its partitions move to one
that works.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import structlog

from streams import errors, selfmetrics
from streams.limits import BUSY_PATIENCE, END_OFFSET_TIMEOUT_S, LOOP_DEAD_S, STOP_DEAD_S, WATCH_EVERY_S, WATCH_SLACK_S
from streams.stage import Stage
from streams.step import Step
from streams.transport import aiokafka_consumer, end_of_log

log = structlog.get_logger(__name__)


class Watchdog:
    """One a process. `slow_after_s` bounds a restore and a checkpoint; it is above the timeouts inside them."""

    ends: errors.Ending = staticmethod(errors.end_process)

    def __init__(
        self,
        app: Any,
        stages: Sequence[Stage[Step]],
        stuck_after_s: float,
        clock: Callable[[], float] = time.monotonic,
        slow_after_s: float = 90.0 + WATCH_SLACK_S,
    ) -> None:
        self._app, self._stages, self._clock = app, stages, clock
        self._stuck_after_s, self._slow_after_s = stuck_after_s, slow_after_s
        self._moved: dict[tuple[str, int], tuple[int, float]] = {}
        self._any_moved_at = clock()
        self._unrestored: dict[tuple[str, int], float] = {}
        self.turned_at = clock()
        self.waits_for = ""  # why the start waits

    def waits(self, why: str) -> None:
        """Told again and again by a start that waits for somebody to let it in: alive, and not ready."""
        self.waits_for, self.turned_at = why, self._clock()

    async def run(self) -> None:
        """Until the app stops."""
        selfmetrics.STARTED.set_to_current_time()
        process = psutil.Process()
        threading.Thread(target=self._guard_loop, name="loop-guard", daemon=True).start()
        while not self._app.should_stop:
            await asyncio.sleep(WATCH_EVERY_S)
            self.turned_at = self._clock()
            selfmetrics.RSS.set(process.memory_info().rss)
            reason = self.consumer_error() or self.slow() or await self.stuck()
            if reason and not self._app.should_stop:
                self.ends(errors.EXIT_RESTART, reason)

    def _guard_loop(self) -> None:
        while not self._app.should_stop:
            time.sleep(WATCH_EVERY_S)
            self.judge_loop()
        time.sleep(STOP_DEAD_S)  # a process that ends in time takes this thread along
        self.ends(errors.EXIT_RESTART, f"told to stop {STOP_DEAD_S:.0f} s ago and still there")

    def judge_loop(self) -> None:
        """End the process when the event loop has not turned for long; nothing inside the loop could."""
        age = self._clock() - self.turned_at
        if age > LOOP_DEAD_S and not self._app.should_stop:
            self.ends(errors.EXIT_RESTART, f"the event loop has stood still for {age:.0f} s")

    def consumer_error(self) -> str:
        """What aiokafka would tell a consumer that calls its own getmany; Faust does not."""
        consumer = aiokafka_consumer(self._app)
        coordinator = getattr(consumer, "_coordinator", None)
        if coordinator is None:
            return ""
        try:
            coordinator.check_errors()
        except Exception as error:  # noqa: BLE001  # whatever it says, this consumer is done for
            return f"the group coordinator failed: {error!r}"
        task = getattr(coordinator, "_coordination_task", None)
        return "the group coordination task has ended" if task is not None and task.done() else ""

    def slow(self) -> str:
        """Why a restore or a checkpoint takes too long; empty if none does."""
        now = self._clock()
        for stage in self._stages:
            since = stage.checkpoint_since
            if since is not None and now - since > self._slow_after_s:
                return f"{stage.name}: a checkpoint has taken {now - since:.0f} s"
            waiting = {(stage.topic, partition) for partition in stage.assigned - set(stage.held)}
            for place in waiting:
                first = self._unrestored.setdefault(place, now)
                if now - first > self._slow_after_s:
                    return f"{place[0]}[{place[1]}] is assigned and has not been restored for {now - first:.0f} s"
            for place in [known for known in self._unrestored if known[0] == stage.topic and known not in waiting]:
                del self._unrestored[place]
        return ""

    async def stuck(self) -> str:
        """Why the worker is stuck; empty if it is not."""
        for stage in self._stages:
            for partition, held in list(stage.held.items()):
                place, fence, now = (stage.topic, partition), held.step.fence, self._clock()
                known, since = self._moved.get(place, (None, now))
                if fence != known or self._app.rebalancing:
                    self._moved[place] = (fence, now)
                    self._any_moved_at = now
                elif now - since > self._patience_s(now):
                    behind = stage.behind(partition) or await self._behind(*place, fence)
                    if behind and held.step.fence == fence:
                        return f"{stage.topic}[{partition}] stands at {fence}, {behind} behind, for {now - since:.0f} s"
                    self._moved[place] = (fence, now)
        return ""

    def _patience_s(self, now: float) -> float:
        """How long a partition may stand: longer while others move, since a busy worker lets one wait for another."""
        busy = now - self._any_moved_at <= self._stuck_after_s
        return self._stuck_after_s * (BUSY_PATIENCE if busy else 1)

    async def _behind(self, topic: str, partition: int, fence: int) -> int:
        """Records after the fence as the broker says; 0 while it says nothing, which is the broker's fault."""
        try:
            async with asyncio.timeout(END_OFFSET_TIMEOUT_S):
                low, high = await end_of_log(self._app, topic, partition)
        except Exception as error:  # noqa: BLE001  # the broker's fault is not the worker's
            log.warning("end_of_log_unknown", topic=topic, partition=partition, error=repr(error))
            return 0
        return max(0, high - max(fence + 1, low))
