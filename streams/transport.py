"""Faust's aiokafka transport, on chunks, with restore before flow.

What: a Consumer that (a) hands over one Faust message a partition and fetch, and (b) after each assignment restores
the state of each partition and seeks to its fence + 1. Faust awaits `perform_seek` after an assignment and before it
lets records flow, so it is a natural barrier. Why a subclass: everything else of Faust's membership, assignment and
flow control stays as it is. Untyped Faust is confined to this file and `app`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams import errors
from streams.chunk import Chunk, cut

log = structlog.get_logger(__name__)

#: (topic, partition) -> fence, or None for "not ours". Awaited for each assigned partition before records flow.
Restore = Callable[[str, int], Awaitable[int | None]]
Assigned = Callable[[set[tuple[str, int]]], Awaitable[None]]


class ChunkConsumer(driver.Consumer):
    """One consumer a worker process."""

    max_records: int = 50_000
    max_bytes: int = 16 << 20
    restore: Restore
    assigned: Assigned
    ends: errors.Ending = staticmethod(errors.end_process)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Iterable[Chunk]]:  # noqa: ASYNC109  # Faust's
        records = await super()._getmany(active_partitions, timeout)
        return {tp: list(cut(found, self.max_records, self.max_bytes)) for tp, found in records.items() if found}

    async def perform_seek(self) -> None:
        """After each assignment: Faust's own seek, then ours. What can't be restored ends the process."""
        await super().perform_seek()
        assignment: set[TP] = set(self.assignment())
        try:
            await self.assigned({(tp.topic, tp.partition) for tp in assignment})
            for tp in sorted(assignment):
                fence = await self.restore(tp.topic, tp.partition)
                if fence is not None:
                    await self._seek_past(tp, fence)
        except errors.FenceOutsideLog as error:
            self.ends(errors.EXIT_PERSON, str(error))
        except Exception as error:  # noqa: BLE001  # Faust swallows what a seek raises (traps 14, 5); a worker without state must end
            self.ends(errors.EXIT_RESTART, f"restore: {error!r}")

    async def _seek_past(self, tp: TP, fence: int) -> None:
        low = (await self.earliest_offsets(tp))[tp]
        high = (await self.highwaters(tp))[tp]
        start = fence + 1 if fence >= 0 else low
        if start < low:
            raise errors.FenceOutsideLog(
                f"{tp.topic}[{tp.partition}]: state is complete to offset {fence}, but the log now begins at {low}: "
                f"{low - start} records are gone. Restore the topic from a replica, or accept the loss: stop all "
                "workers, delete the tocsin.state.* topics, run `tocsin topics create`, start again."
            )
        if start > high:
            raise errors.FenceOutsideLog(
                f"{tp.topic}[{tp.partition}]: state is complete to offset {fence}, but the log ends at {high}: the "
                "topic was recreated or truncated. Recreate the state topics with it."
            )
        await self.seek(tp, start)
        self._read_offset[tp] = fence if fence >= 0 else None
        log.info("restored", topic=tp.topic, partition=tp.partition, fence=fence, behind=high - start)


class ChunkTransport(driver.Transport):
    """The transport of a Tocsin app; `configure` once before the app starts."""

    Consumer = ChunkConsumer

    @classmethod
    def configure(cls, restore: Restore, assigned: Assigned, max_records: int, max_bytes: int) -> None:
        """Late binding: Faust makes the consumer itself, by class."""
        cls.Consumer.restore = staticmethod(restore)
        cls.Consumer.assigned = staticmethod(assigned)
        cls.Consumer.max_records = max_records
        cls.Consumer.max_bytes = max_bytes


def aiokafka_consumer(app: Any) -> Any:
    """The aiokafka consumer under a running app, or None; the watchdog asks it for errors that Faust never raises."""
    consumer = app.consumer
    thread = getattr(consumer, "_thread", None)
    return getattr(thread, "_consumer", None)
