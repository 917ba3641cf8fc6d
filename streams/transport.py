"""Faust's aiokafka transport, on chunks, with restore before flow.

What: a Consumer that hands over one Faust message a partition and fetch; that restores the state of each partition
after each assignment and seeks to its fence + 1 (Faust awaits `perform_seek` after an assignment and before it lets
records flow, so it is a natural barrier); and that keeps one invariant: a partition's records are handed over only
from its fence on (one without state: from what was committed), and with a hole only where the log has one. Why a subclass: everything else of Faust's membership,
assignment and flow control stays as it is. Untyped Faust is confined to this file and `app`. It refuses to reset an
offset: a fence outside the log ends the worker for a person to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams import errors, selfmetrics
from streams.chunk import Chunk, cut
from streams.limits import FETCH_WAIT_MS

log = structlog.get_logger(__name__)

#: (topic, partition) -> fence, or None for "without state". Awaited for each assigned partition before records flow.
Restore = Callable[[str, int], Awaitable[int | None]]
Assigned = Callable[[set[tuple[str, int]]], Awaitable[None]]
#: Awaited when the worker is told to stop and still holds its partitions: time for the stages' last checkpoint.
Finish = Callable[[], Awaitable[None]]


class ChunkThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around aiokafka, with a shorter wait for the first byte.

    Faust's 1.5 s are waited for by everything on the same connection: the offsets asked for in a restore, the first
    fetch after a seek, and any partition that was left out of the fetch under way.
    """

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001  # Faust leaves no other way
        return consumer


class ChunkConsumer(driver.Consumer):
    """One consumer a worker process."""

    max_records: int = 50_000
    max_bytes: int = 16 << 20
    restore_timeout_s: float = 80.0  # below Faust's own bound (broker_request_timeout, 90 s), which resumes unsought
    restore: Restore
    assigned: Assigned
    finish: Finish | None = None
    ends: errors.Ending = staticmethod(errors.end_process)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seeking = asyncio.Lock()
        self._next: dict[TP, int] = {}  # restored partition -> offset that must come next
        self._holes: dict[TP, tuple[int, int]] = {}  # (offset that should have come, offset that came)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    async def _seek(self, partition: TP, offset: int) -> None:
        """In the thread that fetches: Faust's own goes past it, and takes away what a fetch is just handing over."""
        await self._thread.call_thread(self._thread.seek, partition, offset)

    # -- records

    async def _getmany(  # Faust's signature
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109
    ) -> Mapping[TP, Iterable[Chunk]]:
        fetched = await super()._getmany(active_partitions, timeout)
        answer = {}
        for tp, records in fetched.items():
            first = int(records.offset[0]) if records else 0
            if records and await self._follows(tp, first):
                begins = min(first, self._next[tp])
                self._next[tp] = int(records.offset[-1]) + 1
                answer[tp] = list(cut(tp.topic, tp.partition, begins, records, self.max_records, self.max_bytes))
        return answer

    async def _follows(self, tp: TP, first: int) -> bool:
        """Whether a fetch that begins at `first` may be handed over. A hole is believed when it is there twice."""
        expected = self._next.get(tp)
        if expected is None:
            log.warning("fetched_before_restored", topic=tp.topic, partition=tp.partition, offset=first)
            return False  # its seek is still to come
        if first <= expected:
            return True
        try:
            if self._holes.pop(tp, None) == (expected, first):
                inside(tp, expected, *(await self._bounds(tp))[tp])
                selfmetrics.holes(tp.topic, first - expected)
                return True
            self._holes[tp] = (expected, first)
            log.warning("hole_read_again", topic=tp.topic, partition=tp.partition, expected=expected, offset=first)
            await self.seek(tp, expected)
        except errors.FenceOutsideLog as error:
            self.ends(errors.EXIT_PERSON, str(error))
        except IllegalStateError:
            self._holes.pop(tp, None)  # the partition has just left
        return False

    # -- assignment

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Faust's; with nothing assigned it never comes to `perform_seek`, so the stages are told here."""
        if not assigned:
            self._next.clear()
            await self.assigned(set())
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """After each assignment: Faust's own seek, then ours. What can't be restored ends the process.

        Faust's fetcher may call this too, in the middle of a rebalance; one at a time, then, and in any number.
        """
        async with self._seeking:
            try:
                async with asyncio.timeout(self.restore_timeout_s):
                    await super().perform_seek()
                    await self._restore_all()
            except IllegalStateError:
                raise  # a partition left meanwhile: Faust knows, and another assignment follows
            except errors.FenceOutsideLog as error:
                self.ends(errors.EXIT_PERSON, str(error))
            except Exception as error:  # noqa: BLE001  # Faust swallows what a seek raises (trap 14): end instead
                self.ends(errors.EXIT_RESTART, f"restore: {error!r}")

    async def _restore_all(self) -> None:
        assignment: list[TP] = sorted(self.assignment())
        self._next = {tp: offset for tp, offset in self._next.items() if tp in assignment}
        self._holes.clear()
        await self.assigned({(tp.topic, tp.partition) for tp in assignment})
        fences = await asyncio.gather(*(self.restore(tp.topic, tp.partition) for tp in assignment))
        bounds = await self._bounds(*assignment)
        for tp, fence in zip(assignment, fences, strict=True):
            await self._seek_past(tp, self._before(tp, *bounds[tp]) if fence is None else fence, *bounds[tp])

    def _before(self, tp: TP, low: int, high: int) -> int:
        """What stands for a fence where there is no state: the last offset that was committed; -1 when none was, or when it
        is outside the log. Without it a fetch that Faust throws away in a rebalance, after its seek, is lost for good."""
        committed = self._committed_offset[tp] or 0
        return committed - 1 if low <= committed <= high else -1

    async def _seek_past(self, tp: TP, fence: int, low: int, high: int) -> None:
        start = fence + 1 if fence >= 0 else low
        inside(tp, start, low, high)
        await self.seek(tp, start)
        self._read_offset[tp] = fence if fence >= 0 else None
        self._next[tp] = start
        log.info("restored", topic=tp.topic, partition=tp.partition, fence=fence, behind=high - start)

    async def _bounds(self, *tps: TP) -> dict[TP, tuple[int, int]]:
        """(low, high) of each partition's log, all asked for at once."""
        lows, highs = await self.earliest_offsets(*tps), await self.highwaters(*tps)
        return {tp: (int(lows[tp]), int(highs[tp])) for tp in tps}

    async def on_stop(self) -> None:
        """The stages' last checkpoint, then Faust's: it commits what was acknowledged and leaves the group."""
        if self.finish is not None:
            await self.finish()
        await super().on_stop()

    # -- acknowledgements, which come in order: the highest is the last (trap 9), and no offset needs a list of its own

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: each chunk jumps over its own offsets."""

    def _new_offset(self, tp: TP) -> int | None:
        acked: list[int] = self._acked[tp]
        if not acked:
            return None
        last = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return last + 1


def inside(tp: TP, start: int, low: int, high: int) -> None:
    """Raises FenceOutsideLog when the next offset to read is not in the log, which is [low, high)."""
    place = f"{tp.topic}[{tp.partition}]"
    if start < low:
        raise errors.FenceBelowLog(place=place, fence=start - 1, low=low, missing=low - start)
    if start > high:
        raise errors.FenceBeyondLog(place=place, fence=start - 1, high=high)


class ChunkTransport(driver.Transport):
    """The transport of a Tocsin app; `configure` once before the app starts."""

    Consumer = ChunkConsumer

    @classmethod
    def configure(
        cls,
        restore: Restore,
        assigned: Assigned,
        max_records: int,
        max_bytes: int,
        restore_timeout_s: float = ChunkConsumer.restore_timeout_s,
        finish: Finish | None = None,
    ) -> None:
        """Late binding: Faust makes the consumer itself, by class."""
        cls.Consumer.restore = staticmethod(restore)
        cls.Consumer.assigned = staticmethod(assigned)
        cls.Consumer.max_records = max_records
        cls.Consumer.max_bytes = max_bytes
        cls.Consumer.restore_timeout_s = restore_timeout_s
        cls.Consumer.finish = None if finish is None else staticmethod(finish)


def aiokafka_consumer(app: Any) -> Any:
    """The aiokafka consumer under a running app, or None; the watchdog asks it for errors that Faust never raises."""
    consumer = app.consumer
    thread = getattr(consumer, "_thread", None)
    return getattr(thread, "_consumer", None)


async def end_of_log(app: Any, topic: str, partition: int) -> tuple[int, int]:
    """(low, high) offsets of a partition as the broker has them now."""
    tp = TP(topic, partition)
    low = (await app.consumer.earliest_offsets(tp))[tp]
    high = (await app.consumer.highwaters(tp))[tp]
    return int(low), int(high)
