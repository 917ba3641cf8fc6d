"""Stage: chunks in, checkpoints out, for all partitions of one input topic that this worker holds.

What: `consume` is the body of a Faust agent, `checkpoints` the body of a Faust task. A checkpoint drains each step,
delivers what it answers, writes a snapshot where one is due, then acknowledges to Faust; in that order, and any
failure ends the process (engines' traps 1 to 4). Why snapshots may lag: outputs are idempotent by construction, so a
recovery that starts from an older snapshot sends again what replaces itself. It refuses to know what a step means, and
to go on after any failure: no chunk is ever acknowledged whose effect is not delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from streams import crash, errors
from streams.chunk import BEGINS
from streams.producer import Producer, Sent
from streams.records import EMPTY, Records
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
    headers: Iterable[tuple[str, int]] | None
    value: object


class ChunkEvent(Protocol):
    """A Faust event whose value is a chunk's records."""

    message: ChunkMessage
    value: Records

    def ack(self) -> bool:
        """Tell Faust that the chunk is done."""


@dataclasses.dataclass(frozen=True)
class Pace:
    """How often. Seconds; `snapshot_share` is the share of the time that snapshots may take.

    Records and bytes that were applied and not yet delivered stay below their bounds: beyond them `consume` waits.
    """

    checkpoint_s: float
    snapshot_min_s: float
    snapshot_max_s: float
    snapshot_share: float
    max_unsaved_records: int
    max_unsaved_bytes: int = 256 << 20


class Unsaved(NamedTuple):
    """What was applied and is not yet covered by delivered outputs."""

    records: int = 0
    size: int = 0


class Held(Generic[S]):
    """A partition that this worker holds."""

    def __init__(self, step: S, writer: Writer, generation: int) -> None:
        self.step = step
        self.writer = writer
        self.generation = generation  # the last one in which this worker held the partition
        self.unsaved: list[ChunkEvent] = []
        self.snapshot_cost_s = 0.0
        self.snapshot_fence = step.fence
        self.snapshot_at = 0.0

    def due(self, now: float, pace: Pace, sharing: int = 1) -> bool:
        """Whether a snapshot is due: something changed, and the last one's cost is earned back.

        `sharing`: partitions of the stage that live on the share of time together.
        """
        if self.step.wants_snapshot:
            return True
        earned = self.snapshot_cost_s * sharing / pace.snapshot_share
        wait = min(max(earned, pace.snapshot_min_s), pace.snapshot_max_s)
        return self.changed and not self.snapshot_at <= now < self.snapshot_at + wait  # a clock may be set back

    @property
    def changed(self) -> bool:
        """Whether records were applied since the last snapshot."""
        return self.step.fence != self.snapshot_fence


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
        self.assigned: frozenset[int] = frozenset()
        self.assignments = 0
        self.checkpoint_since: float | None = None  # monotonic; None between checkpoints
        self.metrics = StageMetrics(name)
        self._reach = crash.points(name)
        self._make_step, self._state, self._producer = make_step, state, producer
        self._generation, self._highwater, self._clock = generation, highwater, clock
        self._urgent = asyncio.Event()
        self._unsaved = Unsaved()
        self._saved = asyncio.Condition()
        self._one_checkpoint = asyncio.Lock()
        self._finished = False

    # -- assignment

    def keep_only(self, partitions: Iterable[int]) -> None:
        """The partitions that this worker holds from now on; others are forgotten (trap 13)."""
        self.assigned = frozenset(partitions)
        self.assignments += 1
        for partition in set(self.held) - self.assigned:
            self._forget(partition)

    def _forget(self, partition: int) -> None:
        self.held.pop(partition).step.close()
        self.metrics.left(partition)
        log.info("partition_left", stage=self.name, partition=partition)

    async def restore(self, partition: int) -> int:
        """The partition's fence, after loading its state unless it is held already.

        A held state is kept only when no generation was missed: in a missed one somebody else may have held the
        partition, and written snapshots of a later epoch (trap 12).
        """
        generation = self._generation()
        kept = self.held.get(partition)
        if kept is not None and kept.generation <= generation <= kept.generation + 1:
            kept.generation = generation
            kept.unsaved.clear()  # of an older generation; their effect is in the state, so only the ack is lost
            return kept.step.fence
        began = time.perf_counter()
        found, keys = await self._state.load(partition)
        step = self._make_step(partition)
        if found is not None:
            step.restore(found.data)
            if step.fence != found.fence:
                reason = f"the snapshot says fence {found.fence}, the state says {step.fence}"
                raise errors.RestoreFailed(place=f"{self.name}[{partition}]", reason=reason)
        if partition in self.held:
            self._forget(partition)
        epoch = max(generation, found.epoch + 1 if found else 0)
        writer = Writer(self._state.topic, partition, epoch, found.number if found else 0, keys)
        self.held[partition] = Held(step, writer, generation)
        self.metrics.restored(time.perf_counter() - began, len(found.data) if found else 0)
        return step.fence

    # -- records

    async def consume(self, events: AsyncIterable[ChunkEvent]) -> None:
        """Body of the agent. `events` must come without acknowledgement (`stream.noack().events()`)."""
        async for event in events:
            message = event.message
            held = self.held.get(message.partition)
            if held is None or message.generation_id != self._generation():
                self.metrics.stale()  # fetched before a rebalance; whoever holds the partition now reads it again
                continue
            self._apply(held, event)
            if held.step.urgent:
                self._urgent.set()
            if self._too_much():
                await self._wait_until_saved()

    def _apply(self, held: Held[S], event: ChunkEvent) -> None:
        """Apply a chunk. A step that can't take its input must not be acknowledged past it (trap 1)."""
        began = time.perf_counter()
        partition, records = event.message.partition, event.value
        begins = dict(event.message.headers or ()).get(BEGINS, 0)
        try:
            if begins > held.step.fence + 1 > 0:
                raise errors.ChunkMissing(place=f"{self.topic}[{partition}]", fence=held.step.fence, begins=begins)
            held.step.apply(records)
            self._reach("after_apply")
        except Exception as error:
            log.exception("step_failed", stage=self.name, partition=partition)
            self.ends(errors.EXIT_RESTART, f"{self.name}[{partition}]: {error!r}")
            raise
        size = records.size
        event.value = EMPTY  # the event waits for its acknowledgement; the bytes need not
        event.message.value = None
        held.unsaved.append(event)
        self._unsaved = Unsaved(self._unsaved.records + len(records), self._unsaved.size + size)
        self.metrics.applied(len(records), size, time.perf_counter() - began)

    def _too_much(self) -> bool:
        unsaved = self._unsaved
        return unsaved.records > self.pace.max_unsaved_records or unsaved.size > self.pace.max_unsaved_bytes

    async def _wait_until_saved(self) -> None:
        self._urgent.set()
        self.metrics.held_back()
        async with self._saved:
            await self._saved.wait_for(lambda: not self._too_much())

    # -- checkpoints

    async def checkpoints(self, stopping: Callable[[], bool]) -> None:
        """Body of the task: a checkpoint each `checkpoint_s`, sooner when a step is urgent; the last has snapshots."""
        while not (stopping() or self._finished):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pace.checkpoint_s):
                    await self._urgent.wait()
            self._urgent.clear()
            await self._checkpoint_or_end()
        await self.finish()

    def hurry(self) -> None:
        """Make the next checkpoint now."""
        self._urgent.set()

    async def finish(self) -> None:
        """The last checkpoint of a worker that is told to stop, once: whoever is next need not replay."""
        if not self._finished:
            self._finished = True
            await self._checkpoint_or_end(last=True)
            self._state.close()

    async def _checkpoint_or_end(self, last: bool = False) -> None:
        try:
            async with self._one_checkpoint:
                await self.checkpoint(last)
        except Exception as error:
            log.exception("checkpoint_failed", stage=self.name)
            self.ends(errors.code_of(error), f"{self.name}: checkpoint: {error!r}")
            raise

    async def checkpoint(self, last: bool = False) -> None:
        """Outputs, then snapshots, then acknowledgements; each only when what is before it is acknowledged."""
        began = self.checkpoint_since = time.monotonic()
        now = self._clock()
        sent, told = Sent(), False
        work = []
        for partition, held in self.held.items():
            behind = self.behind(partition)
            self.metrics.lag(partition, behind)
            held.step.tick(int(now * 1000), behind == 0)
            outputs = held.step.drain()
            if outputs:
                told = True
                self._reach("before_outputs")
            self._producer.send(outputs, sent)
            wanted = held.changed if last else held.due(now, self.pace, len(self.held))
            work.append((partition, held, self._snapshot(held, now) if wanted else None, held.unsaved))
            held.unsaved = []
        saved = self._unsaved
        await self._producer.settled(sent)
        if told:
            self._reach("after_outputs")
        for partition, held, snapshot, _ in work:
            if snapshot is not None and self.held.get(partition) is held:
                await self._write(partition, held, *snapshot)
                self._reach("after_snapshot")
        self._reach("before_ack")
        for partition, held, _, events in work:
            if self.held.get(partition) is held:
                held.step.settled()
                self._acknowledge(events)
        self._unsaved = Unsaved(self._unsaved.records - saved.records, self._unsaved.size - saved.size)
        async with self._saved:
            self._saved.notify_all()
        self.checkpoint_since = None
        self.metrics.checkpointed(time.monotonic() - began)

    def behind(self, partition: int) -> int | None:
        """Records between a held partition's fence and its end; None while the end is unknown."""
        held = self.held.get(partition)
        try:
            end = self._highwater(self.topic, partition)
        except Exception:  # noqa: BLE001  # between two assignments the consumer knows no end, and says so in several ways
            return None
        return None if end is None or held is None else max(0, end - held.step.fence - 1)

    def _snapshot(self, held: Held[S], now: float) -> tuple[int, bytes, int]:
        began = time.perf_counter()
        fence, data = held.step.fence, held.step.snapshot()
        held.snapshot_cost_s = time.perf_counter() - began
        held.snapshot_at, held.snapshot_fence = now, fence
        self.metrics.snapshot(held.snapshot_cost_s, len(data))
        return fence, data, int(now * 1000)

    async def _write(self, partition: int, held: Held[S], fence: int, data: bytes, created_ms: int) -> None:
        sent = self._producer.send(held.writer.records(fence, data, created_ms))
        self._reach("in_snapshot")
        await self._producer.settled(sent)
        stale, readable_from = held.writer.written(sent.first_offset)
        await self._producer.settled(self._producer.send(stale))
        if readable_from is not None:
            self._state.point(partition, readable_from)

    def _acknowledge(self, events: list[ChunkEvent]) -> None:
        """In order, and only what this generation fetched (trap 9)."""
        generation = self._generation()
        for event in events:
            if event.message.generation_id == generation:
                event.ack()
