"""Stage: chunks in, checkpoints out, for all partitions of one input topic that this worker holds.

What: `consume` is the body of a Faust agent, `checkpoints` the body of a Faust task. A checkpoint drains each step,
delivers what it answers, writes a snapshot where one is due, then acknowledges to Faust; in that order, and any
failure ends the process (engines' traps 1 to 4). Why snapshots may lag: outputs are idempotent by construction, so a
recovery that starts from an older snapshot sends again what replaces itself. It refuses to know what a step means.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Generic, Protocol, TypeVar

import structlog

from streams import errors
from streams.chunk import Record
from streams.producer import Producer, Sent
from streams.selfmetrics import StageMetrics
from streams.statelog import StateLog, Writer
from streams.step import Step

log = structlog.get_logger(__name__)
S = TypeVar("S", bound=Step)


class ChunkMessage(Protocol):
    """The Faust message under an event, as far as it is needed here."""

    partition: int
    offset: int
    generation_id: int


class ChunkEvent(Protocol):
    """A Faust event whose value is a chunk's records."""

    message: ChunkMessage
    value: list[Record]

    def ack(self) -> bool:
        """Tell Faust that the chunk is done."""


@dataclasses.dataclass(frozen=True)
class Pace:
    """How often. Seconds; `snapshot_share` is the share of the time that snapshots may take."""

    checkpoint_s: float
    snapshot_min_s: float
    snapshot_max_s: float
    snapshot_share: float
    max_unsaved_records: int


class Held(Generic[S]):
    """A partition that this worker holds."""

    def __init__(self, step: S, writer: Writer) -> None:
        self.step = step
        self.writer = writer
        self.unsaved: list[ChunkEvent] = []
        self.snapshot_cost_s = 0.0
        self.snapshot_fence = step.fence
        self.snapshot_at = 0.0

    def due(self, now: float, pace: Pace) -> bool:
        """Whether a snapshot is due: something changed, and the last one's cost is earned back."""
        wait = min(max(self.snapshot_cost_s / pace.snapshot_share, pace.snapshot_min_s), pace.snapshot_max_s)
        return self.step.wants_snapshot or (self.step.fence != self.snapshot_fence and now - self.snapshot_at >= wait)


class Stage(Generic[S]):
    """One stage of the path in this process."""

    ends: errors.Ending = staticmethod(errors.end_process)

    def __init__(
        self,
        name: str,
        topic: str,
        make_step: Callable[[int], S],
        state: StateLog,
        producer: Producer,
        pace: Pace,
        generation: Callable[[], int],
        highwater: Callable[[str, int], int | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.topic, self.pace = name, topic, pace
        self.held: dict[int, Held[S]] = {}
        self.metrics = StageMetrics(name)
        self._make_step, self._state, self._producer = make_step, state, producer
        self._generation, self._highwater, self._clock = generation, highwater, clock
        self._urgent = asyncio.Event()
        self._unsaved_records = 0
        self._saved = asyncio.Condition()

    # -- assignment

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Forget the partitions that this worker no longer holds (trap 13)."""
        for partition in set(self.held) - set(partitions):
            self.held.pop(partition).step.close()
            log.info("partition_left", stage=self.name, partition=partition)

    async def restore(self, partition: int) -> int:
        """The partition's fence, after loading its state unless it is held already."""
        kept = self.held.get(partition)
        if kept is not None:
            kept.unsaved.clear()  # of an older generation; their effect is in the state, so only the ack is lost
            return kept.step.fence
        began = time.perf_counter()
        found, keys = await self._state.load(partition)
        step = self._make_step(partition)
        if found is not None:
            step.restore(found.data)
            if step.fence != found.fence:
                raise errors.RestoreFailed(
                    f"{self.name}[{partition}]: snapshot says fence {found.fence}, state says {step.fence}"
                )
        epoch = max(self._generation(), found.epoch + 1 if found else 0)
        writer = Writer(self._state.topic, partition, epoch, found.number if found else 0, keys)
        self.held[partition] = Held(step, writer)
        self.metrics.restored(time.perf_counter() - began, len(found.data) if found else 0)
        return step.fence

    # -- records

    async def consume(self, events: AsyncIterable[ChunkEvent]) -> None:
        """Body of the agent. `events` must come without acknowledgement (`stream.noack().events()`)."""
        async for event in events:
            message = event.message
            held = self.held.get(message.partition)
            if held is None or message.generation_id != self._generation():
                continue  # fetched before a rebalance; whoever holds the partition now reads it again
            self._apply(held, event)
            if held.step.urgent:
                self._urgent.set()
            if self._unsaved_records > self.pace.max_unsaved_records:
                await self._wait_until_saved()

    def _apply(self, held: Held[S], event: ChunkEvent) -> None:
        began = time.perf_counter()
        try:
            held.step.apply(event.value)
        except Exception as error:  # a step that can't take its input must not be acknowledged past it
            log.exception("step_failed", stage=self.name, partition=event.message.partition)
            self.ends(errors.EXIT_RESTART, f"{self.name}: {error!r}")
            raise
        held.unsaved.append(event)
        self._unsaved_records += len(event.value)
        self.metrics.applied(event.value, time.perf_counter() - began)

    async def _wait_until_saved(self) -> None:
        self._urgent.set()
        async with self._saved:
            await self._saved.wait_for(lambda: self._unsaved_records <= self.pace.max_unsaved_records)

    # -- checkpoints

    async def checkpoints(self, stopping: Callable[[], bool]) -> None:
        """Body of the task: a checkpoint each `checkpoint_s`, sooner when a step is urgent."""
        while not stopping():
            try:
                await asyncio.wait_for(self._urgent.wait(), self.pace.checkpoint_s)
            except TimeoutError:
                pass
            self._urgent.clear()
            try:
                await self.checkpoint()
            except Exception as error:
                log.exception("checkpoint_failed", stage=self.name)
                self.ends(errors.EXIT_RESTART, f"{self.name}: checkpoint: {error!r}")
                raise

    async def checkpoint(self) -> None:
        """Outputs, then snapshots, then acknowledgements."""
        began = time.perf_counter()
        now = self._clock()
        held = dict(self.held)
        sent = Sent()
        work = []
        for partition, one in held.items():
            behind = self.behind(partition)
            self.metrics.lag(partition, behind)
            one.step.tick(int(now * 1000), behind == 0)
            self._producer.send(one.step.drain(), sent)
            snapshot = self._snapshot(one) if one.due(now, self.pace) else None
            work.append((partition, one, snapshot, one.unsaved))
            one.unsaved = []
        saved, self._unsaved_records = self._unsaved_records, 0
        await self._producer.settled(sent)
        for partition, one, snapshot, _ in work:
            if snapshot is not None:
                await self._write(partition, one, *snapshot)
        for partition, one, _, events in work:
            if self.held.get(partition) is one:
                one.step.settled()
                self._acknowledge(events)
        async with self._saved:
            self._saved.notify_all()
        self.metrics.checkpointed(time.perf_counter() - began, saved)

    def behind(self, partition: int) -> int | None:
        """Records between a held partition's fence and its end; None while the end is unknown."""
        end = self._highwater(self.topic, partition)
        return None if end is None else max(0, end - self.held[partition].step.fence - 1)

    def _snapshot(self, held: Held[S]) -> tuple[int, bytes]:
        began = time.perf_counter()
        fence, data = held.step.fence, held.step.snapshot()
        held.snapshot_cost_s = time.perf_counter() - began
        held.snapshot_at, held.snapshot_fence = self._clock(), fence
        self.metrics.snapshot(held.snapshot_cost_s, len(data))
        return fence, data

    async def _write(self, partition: int, held: Held[S], fence: int, data: bytes) -> None:
        sent = self._producer.send(held.writer.records(fence, data))
        await self._producer.settled(sent)
        stale = held.writer.tombstones()
        if stale:
            self._producer.send(stale)
        await self._state.point(partition, sent.first_offset)

    def _acknowledge(self, events: list[ChunkEvent]) -> None:
        """In order, and only what this generation fetched (trap 9)."""
        generation = self._generation()
        for event in events:
            if event.message.generation_id == generation:
                event.ack()
