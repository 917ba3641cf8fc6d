"""A simulated worker: the product's stages, steps, producer, state log and delivery, on a loop of its own.

Wired as in `streams.app.Worker`; what Faust does (membership, fetching, seeking) is played in the order of
`streams.transport`.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import json
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

from sinks.delivery import Delivery
from sinks.port import Category, Failure, Response
from streams import commands, topics
from streams.chunk import BEGINS
from streams.clock import SteadyClock
from streams.producer import Producer
from streams.stage import Pace, Stage
from streams.statelog import StateLog
from tests.simulation.clock import Killed, WorkerLoop
from tests.simulation.kafka import Line, MemoryConsumer, MemoryProducer, Report

if TYPE_CHECKING:
    from tests.simulation.world import World

PACE = Pace(0.5, 1.0, 1.0, 1.0, 40)  # the least and the longest wait are the same: no real clock decides
DELIVERY_TIMEOUT_S = 0.7


@dataclasses.dataclass
class Message:
    partition: int
    offset: int
    generation_id: int
    headers: tuple
    value: object = None


class Event:
    """A chunk as Faust hands it over."""

    def __init__(self, worker: Worker, topic: str, message: Message, records: list) -> None:
        self.worker, self.topic, self.message, self.value = worker, topic, message, records

    def ack(self) -> bool:
        self.worker.reached("written")
        self.worker.world.acknowledged(self.worker, self.topic, self.message)
        return True


class Trouble(NamedTuple):
    """Why a delivery failed, with the face of a KafkaError."""

    fate: str

    def str(self) -> str:
        return self.fate


class Feed:
    """What was fetched and not yet consumed: an endless stream of events."""

    def __init__(self, loop: WorkerLoop) -> None:
        self._loop = loop
        self.waiting: collections.deque[Event] = collections.deque()
        self._waiter: asyncio.Future | None = None

    def push(self, event: Event) -> None:
        self.waiting.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self):
        return self

    async def __anext__(self) -> Event:
        while not self.waiting:
            self._waiter = self._loop.create_future()
            await self._waiter
        return self.waiting.popleft()


class WorkerStage(Stage):
    """The product's stage; the worker may be killed after it has applied a chunk."""

    worker: Worker

    def _apply(self, held, event) -> None:
        super()._apply(held, event)
        self.worker.reached("applied")


class WorkerState(StateLog):
    """The product's state log over the log in memory; loading takes time."""

    def __init__(self, worker: Worker, stage: str) -> None:
        super().__init__("", "tocsin", stage, 60.0)
        self._worker = worker

    async def load(self, partition: int):
        await asyncio.sleep(self._worker.world.dice.uniform(0.0, 0.05))
        self._worker.reached("restored")
        return self._load(partition)

    def _consumer(self) -> MemoryConsumer:
        world = self._worker.world
        return MemoryConsumer(world.broker, self._group, lambda: world.dice.random() < 0.2)


class WorkerLine(Line):
    """The connection of one worker to the broker: in order, with delays, until the worker is no more."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.world = worker, worker.world
        self.arrives_s = self.acked_s = 0.0
        self.open: collections.Counter[str] = collections.Counter()  # sent and not answered, by topic
        self.answers: collections.deque = collections.deque()

    def send(self, topic, value, key, partition, on_delivery) -> None:
        if self.worker.dead:
            return
        state = topic.startswith(topics.STATE_PREFIX)
        self.worker.reached(("torn" if self.open[topic] else "between") if state else "sending")
        sender = topics.COMMANDS if key is not None and key.startswith(b"ack-") else topic
        self.open[sender] += 1
        self.arrives_s = max(self.arrives_s, self.world.clock.s + self.world.delay_s(self.worker))
        self.world.at(self.arrives_s, self._arrive, sender, topic, value, key, partition, on_delivery)

    def _arrive(self, sender, topic, value, key, partition, on_delivery) -> None:
        worker, now_s = self.worker, self.world.clock.s
        if worker.dead and self.world.dice.random() < 0.5:
            worker.cut = True  # what follows on this connection is lost with it
        if worker.cut:
            return
        fate = worker.fate()
        copies = {"refused": 0, "twice": 2}.get(fate, 1)
        offset = max([self.world.broker.append(topic, partition, key, value) for _ in range(copies)], default=-1)
        answer_s = now_s + (DELIVERY_TIMEOUT_S if fate == "lost" else self.world.delay_s(worker))
        self.acked_s = max(self.acked_s, answer_s)
        error = Trouble(fate) if fate in ("lost", "refused") else None
        self.world.at(self.acked_s, self.answers.append, (sender, on_delivery, error, Report(topic, partition, offset)))

    def answer(self) -> int:
        count = 0
        while self.answers:
            sender, on_delivery, error, report = self.answers.popleft()
            self.open[sender] -= 1
            on_delivery(error, report)
            count += 1
        return count


class Worker:
    """One process. `reached` is the gate through which every step goes: a killed worker does nothing more."""

    def __init__(self, world: World, number: int, name: str) -> None:
        self.world, self.number, self.name = world, number, name
        self.loop = WorkerLoop(world.clock)
        self.dead = self.cut = self.left = False
        self.frozen_until_s = 0.0
        self.slow_until_s = 0.0
        self.armed: dict[str, int] = {}  # step -> times that it is passed before the worker is killed
        self.fates: list[str] = []
        self.generation, self.newest, self.flowing = 0, 0, False
        self.positions: dict[tuple[str, int], int] = {}
        self.ends_seen: dict[tuple[str, int], int] = {}
        self.clock = SteadyClock(lambda: self.now_ms() / 1000, world.clock.monotonic)
        self.line = WorkerLine(self)
        with mock.patch("streams.producer.Librdkafka", return_value=MemoryProducer(self.line)):
            self.producer = Producer("", DELIVERY_TIMEOUT_S)
        self.delivery = Delivery(world.sinks, self._exchange, self.clock.now_ms, self._delivered)
        self.stages = [self._stage(*each) for each in world.steps(self)]
        self.feeds = {topic: Feed(self.loop) for topic, _ in world.places}
        self._assignments: list[tuple[int, frozenset[tuple[str, int]]]] = []
        self._stopping = False
        self._start()

    # -- the wiring of streams.app

    def _stage(self, name, topic, make_step) -> WorkerStage:
        state = WorkerState(self, name)
        stage = WorkerStage(
            name, topic, make_step, state, self.producer, PACE,
            lambda: self.generation, lambda t, p: self.ends_seen.get((t, p)), self.clock.now,
        )  # fmt: skip
        stage.worker, stage.ends = self, self.ends
        return stage

    def _delivered(self) -> None:
        self.stages[-1].hurry()

    def _start(self) -> None:
        for stage in self.stages:
            self.loop.create_task(stage.consume(self.feeds[stage.topic]))
            self.loop.create_task(stage.checkpoints(lambda: self._stopping))
        if topics.COMMANDS in self.feeds:
            self.loop.create_task(commands.forward(self.feeds[topics.COMMANDS], self.producer))
        self.loop.create_task(self.delivery.run())

    # -- life

    def now_ms(self) -> int:
        """The wall clock of the machine."""
        return self.world.now_ms + self.world.skew_ms[self.number]

    def ends(self, code: int, reason: str) -> None:
        self.world.ended(self, code, reason)
        raise Killed(code)

    def reached(self, step: str) -> None:
        """A step of the protocol; where a kill waits for it, the process ends before the step."""
        if self.dead:
            raise Killed(9)
        if step in self.armed:
            self.armed[step] -= 1
            if self.armed[step] < 0:
                self.world.died(self, step)
                raise Killed(9)

    def fate(self) -> str:
        return self.fates.pop() if self.fates else ""

    @property
    def frozen(self) -> bool:
        return self.frozen_until_s > self.world.clock.s

    def runnable(self, now_s: float) -> bool:
        return not self.dead and not self.frozen and self.loop.due_s <= now_s

    def turn(self) -> None:
        """One turn of the loop. A kill inside is noted by whoever ordered it."""
        try:
            self.loop.turn()
        except Killed:
            self.world.buried(self)

    # -- the group, in the order of ChunkConsumer.perform_seek

    def assign(self, generation: int, places: frozenset[tuple[str, int]]) -> None:
        """A new generation: the flow stops, the stages are told and restored, then reading goes on."""
        self.flowing = False
        self._assignments.append((generation, places))
        if len(self._assignments) == 1:
            self.loop.create_task(self._rebalance())

    async def _rebalance(self) -> None:
        while self._assignments:
            generation, places = self._assignments[0]
            self.generation = generation
            by_topic = {stage.topic: stage for stage in self.stages}
            for stage in self.stages:
                stage.keep_only(p for t, p in places if t == stage.topic)
            order = sorted(place for place in places if place[0] in by_topic)
            try:
                fences = await asyncio.gather(*(by_topic[t].restore(p) for t, p in order))
            except Exception as error:  # noqa: BLE001  # as the transport: what can't be restored ends the process
                self.ends(70, f"restore: {error!r}")
            self.positions = {place: fence + 1 for place, fence in zip(order, fences, strict=True)}
            for place in places - set(order):
                self.positions[place] = self.world.broker.committed.get(("tocsin", *place), 0)
            self._assignments.pop(0)
        self.ends_seen = {place: self.world.broker.ends[place] for place in self.positions}
        self.flowing = True

    def fetch(self) -> None:
        """Some records of each partition, as chunks of the generation that fetched them."""
        if not self.flowing or self.frozen or self.dead:
            return
        for (topic, partition), position in self.positions.items():
            self.ends_seen[topic, partition] = self.world.broker.ends[topic, partition]
            if self.world.clock.s < self.world.dark_until_s[topic, partition]:
                continue
            most = self.world.dice.choice((1, 3, 20))
            records = self.world.broker.records(topic, partition, position, most)
            if not records or len(self.feeds[topic].waiting) > 4:
                continue
            message = Message(partition, records[-1].offset, self.generation, ((BEGINS, position),), records)
            self.positions[topic, partition] = records[-1].offset + 1
            self.feeds[topic].push(Event(self, topic, message, records))

    def stop(self) -> None:
        """SIGTERM: the last checkpoints in the order of the path, then the group is left."""

        async def finish() -> None:
            self._stopping = True
            for stage in self.stages:
                await stage.finish()
            self.world.left(self)
            raise Killed(0)

        self.loop.create_task(finish())

    # -- the network to the receivers

    async def _exchange(self, request, timeout_s: float):
        world = self.world
        await asyncio.sleep(world.dice.uniform(0.001, 0.05))
        self.reached("asked")
        reply = world.receive(request)
        self.reached("told")
        await asyncio.sleep(world.dice.uniform(0.001, 0.05))
        if reply is None:
            return Failure(Category.BROKEN, "the connection was closed")
        return Response(reply.status, dict(reply.headers), json.dumps(reply.body).encode(), self.now_ms())
