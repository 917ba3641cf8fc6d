"""The world: a clock, a log, workers, a group, receivers and faults, all drawn from one seed.

`World(seed).run()` plays a run to its end. Whatever is chosen is chosen by `dice`, so a seed replays a run exactly;
`trace` is a hash over everything that reached the log and the receivers.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from unittest import mock

from sinks.fakes.receiver import Reply
from sinks.port import Request, Sink
from streams import topics
from streams.step import Step
from tests.simulation import scenario
from tests.simulation.clock import Clock
from tests.simulation.faults import STEPS, Fault
from tests.simulation.kafka import Broker
from tests.simulation.worker import PACE, Worker

SESSION_S = 0.5
GIVE_UP_S = 120.0
JUMP_MS = 2 * 3_600_000  # at most that a wall clock is set by
DARK_S = 2.0  # at most that a source partition cannot be read: forty seconds of event time
#: What a stage has to have delivered before it acknowledges.
OUTPUTS = {
    topics.TELEMETRY: (topics.PARTIALS, topics.DLQ),
    topics.PARTIALS: (topics.ROLLUPS, topics.ALERTS, topics.SLO_STATUS),
    topics.ALERTS: (topics.INCIDENTS, topics.NOTIFICATIONS),
}


class World:
    """One run. What is particular to the product's steps is in `PlatformWorld`."""

    stages: Mapping[str, str]  # name -> input topic, in the order of the path
    passed: tuple[str, ...] = ()  # topics that are read without a stage
    partitions: int
    ends_s: float  # when the sources have sent all, and nothing goes wrong any more
    part_bytes = 2_000  # of a snapshot, so that even small ones have several parts
    sinks: Mapping[str, Sink] = MappingProxyType({})

    def __init__(self, seed: int, faults: Sequence[Fault], workers: int = 2) -> None:
        self.seed, self.faults = seed, list(faults)
        self.dice = random.Random(f"world {seed}")
        self.clock = Clock()
        self._trace = hashlib.blake2b(digest_size=16)
        self.broker = Broker(lambda: self.now_ms, self.note)
        self.places = tuple(
            (topic, p) for topic in (*self.stages.values(), *self.passed) for p in range(self.partitions)
        )
        self._events: list = []
        self._order = itertools.count()
        self._names = itertools.count()
        self.workers: list[Worker] = []
        self.generation = 0
        self.findings: list[str] = []
        self.deaths: list[str] = []
        self.ends: list[str] = []
        self.done = False
        self.missing = ""
        self.skew_ms: collections.Counter[int] = collections.Counter()  # wall clock less the truth, by machine
        self.dark_until_s: collections.defaultdict[tuple[str, int], float] = collections.defaultdict(float)
        self._wanted = workers

    # -- what a particular world adds

    def steps(self, worker: Worker) -> list[tuple[str, str, Callable[[int], Step]]]:
        """Name, input topic and maker of the steps of each stage."""
        raise NotImplementedError

    def begin(self) -> None:
        """Plan what the sources and the people do."""

    def end(self) -> None:
        """Close what is open."""

    def owes(self, step: Step) -> bool:
        """Whether the last stage's step has still something to tell."""
        return False

    def finish(self, worker: Worker) -> None:
        """A look at a worker that lives at the end."""

    def outage(self, fault: Fault) -> None:
        """The receivers fail."""

    def receive(self, request: Request) -> Reply | None:
        """A request reaches its receiver."""
        raise NotImplementedError

    # -- time

    @property
    def now_ms(self) -> int:
        return scenario.T0 + int(self.clock.s * 1000)

    def at(self, s: float, what: Callable, *arguments: object) -> None:
        """Call it then."""
        heapq.heappush(self._events, (s, next(self._order), what, arguments))

    def soon(self, least: float, most: float, what: Callable, *arguments: object) -> None:
        self.at(self.clock.s + self.dice.uniform(least, most), what, *arguments)

    def note(self, *facts: object) -> None:
        """Part of the trace: what happened when."""
        self._trace.update(repr((round(self.clock.s, 6), *facts)).encode())

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def delay_s(self, worker: Worker) -> float:
        """One way to the broker, or back."""
        slow = self.clock.s < worker.slow_until_s
        return self.dice.uniform(0.02, 0.2) if slow else self.dice.choice((0.0, 0.001, 0.02))

    def run(self) -> World:
        """Until all is done and quiet, or the patience is over."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch("streams.statelog.secrets.randbits", side_effect=itertools.count(1)))
            stack.enter_context(mock.patch("streams.statelog.time", self.clock))
            stack.enter_context(mock.patch("streams.snapshots.PART_BYTES", self.part_bytes))
            stack.enter_context(mock.patch("streams.producer.POLL_S", 0.01))
            try:
                self._begin()
                while not self.done and self._advance():
                    pass
            finally:
                for worker in self.workers:
                    self._drop(worker)
                self.end()
        return self

    def _begin(self) -> None:
        for fault in self.faults:
            self.at(fault.at_s, self._inject, fault)
        for number in range(self._wanted):
            self._join(number)
        self.begin()
        self.at(self.ends_s, self._heal)

    def _advance(self) -> bool:
        """One step: a turn of a worker that has something to do, or the next moment."""
        now_s = self.clock.s
        ready = [worker for worker in self.workers if worker.runnable(now_s)]
        if ready:
            (ready[0] if len(ready) == 1 else self.dice.choice(ready)).turn()
            return True
        turns = [w.loop.due_s for w in self.workers if not w.dead and not w.frozen]
        thaws = [w.frozen_until_s for w in self.workers if not w.dead and w.frozen]
        next_s = min([self._events[0][0] if self._events else GIVE_UP_S, *turns, *thaws])
        if next_s >= GIVE_UP_S:
            self.findings.append(f"not done after {GIVE_UP_S:.0f} s: {self.missing}")
            return False
        self.clock.s = max(now_s, next_s)
        while self._events and self._events[0][0] <= self.clock.s:
            _, _, what, arguments = heapq.heappop(self._events)
            what(*arguments)
        return True

    # -- the group

    @property
    def living(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.dead]

    def _join(self, number: int) -> None:
        worker = Worker(self, number, f"w{number}.{next(self._names)}")
        self.workers.append(worker)
        self.soon(0.05, 0.15, self._fetch, worker)
        self.rebalance()

    def _fetch(self, worker: Worker) -> None:
        if not worker.dead:
            worker.fetch()
            self.soon(0.05, 0.3, self._fetch, worker)

    def rebalance(self) -> None:
        """All who answer stop, and share the partitions anew; who is frozen knows of nothing."""
        self.generation += 1
        members = [worker for worker in self.living if not worker.frozen and not worker.left]
        if not members:
            return
        shares: dict[Worker, set] = {worker: set() for worker in members}
        for place in self.places:
            shares[self.dice.choice(members)].add(place)
        self.note("rebalance", self.generation, [(w.name, sorted(share)) for w, share in shares.items()])
        for worker, share in shares.items():
            worker.flowing = False
            worker.newest = self.generation
            self.soon(0.0, 0.2, self._assign, worker, self.generation, frozenset(share))

    def _assign(self, worker: Worker, generation: int, share: frozenset) -> None:
        if not worker.dead and worker.newest == generation:
            worker.assign(generation, share)

    def died(self, worker: Worker, step: str) -> None:
        """A worker is killed; its session runs out, and another is started in its place."""
        worker.dead = True
        self.deaths.append(step)
        self.note("died", worker.name, step)
        self.at(self.clock.s + SESSION_S, self.rebalance)
        self.soon(0.1, 0.7, self._join, worker.number)

    def ended(self, worker: Worker, code: int, reason: str) -> None:
        """A worker has ended itself: it is started again, as a supervisor would, unless a person must look."""
        self.ends.append(f"{self.clock.s:.3f} {worker.name} {code} {reason}")
        if code != 70:
            self.findings.append(f"a worker ended with {code}: {reason}")
        self.died(worker, "ended")

    def left(self, worker: Worker) -> None:
        worker.dead = True
        self.note("left", worker.name)
        self.rebalance()
        self.soon(0.1, 0.7, self._join, worker.number)

    def buried(self, worker: Worker) -> None:
        """After the turn in which it died."""
        self._drop(worker)

    def _drop(self, worker: Worker) -> None:
        worker.dead = True
        if not worker.loop.is_closed():
            worker.loop.drop()

    def acknowledged(self, worker: Worker, topic: str, message: object) -> None:
        """Faust is told that a chunk is done: then everything that comes of it has to be delivered."""
        waiting = {name: worker.line.open[name] for name in OUTPUTS.get(topic, ()) if worker.line.open[name]}
        if waiting:
            self.findings.append(f"{worker.name} acknowledged {topic} while {waiting} were on their way")
        place = ("tocsin", topic, message.partition)
        self.broker.committed[place] = max(self.broker.committed.get(place, 0), message.offset + 1)

    # -- faults

    def _inject(self, fault: Fault) -> None:
        living = self.living
        if fault.kind == "join" and len(living) < 3:
            self._join(9)
        if fault.kind == "rebalance":
            self.rebalance()
        if fault.kind == "compact":
            for stage, p in itertools.product(self.stages, range(self.partitions)):
                self.broker.compact(topics.STATE_PREFIX + stage, p)
        if fault.kind == "outage":
            self.outage(fault)
        if fault.kind == "dark":
            place = (topics.TELEMETRY, fault.worker % self.partitions)
            self.dark_until_s[place] = self.clock.s + DARK_S * fault.size
        if living:
            self._inject_into(living[fault.worker % len(living)], fault)

    def _inject_into(self, worker: Worker, fault: Fault) -> None:
        if fault.kind in STEPS:
            worker.armed[fault.kind] = int(fault.size * 6)
        elif fault.kind == "kill":
            self.died(worker, "kill")
            self._drop(worker)
        elif fault.kind == "freeze":
            worker.frozen_until_s = self.clock.s + SESSION_S + 1.5 * fault.size
            self.at(self.clock.s + SESSION_S, self.rebalance)
            self.soon(SESSION_S + 1.5 * fault.size, SESSION_S + 1.5 * fault.size + 0.5, self.rebalance)
        elif fault.kind == "stop":
            worker.stop()
        elif fault.kind == "slow":
            worker.slow_until_s = self.clock.s + 1.5 * fault.size
        elif fault.kind in ("lost", "refused", "twice"):
            worker.fates += [fault.kind] + [""] * int(fault.size * 5)
        elif fault.kind == "jump":
            self.skew_ms[worker.number] += int((fault.size - 0.5) * 2 * JUMP_MS)

    # -- the end

    def _heal(self) -> None:
        """From here on nothing goes wrong: what was lost by then shows."""
        for worker in self.living:
            worker.armed.clear()
            worker.fates.clear()
        self._look(iter(self.stages.values()))

    def _look(self, rest: Iterator[str], topic: str = "", marks: dict[int, int] | None = None) -> None:
        """Along the path: what a topic held is applied, and has had the time of two checkpoints to come out."""
        if topic and (missing := self._missing(topic, marks or {})):
            self.missing = missing
            self.soon(0.5, 0.5, self._look, rest, topic, marks)
            return
        wait_s = 2.5 * PACE.checkpoint_s
        topic = next(rest, "")
        if not topic:
            self.soon(wait_s, wait_s, self._over)
            return
        marks = {p: self.broker.ends[topic, p] for p in range(self.partitions)}
        self.soon(wait_s, wait_s, self._look, rest, topic, marks)

    def _over(self) -> None:
        self.done = True
        for worker in self.living:
            self.finish(worker)

    def _missing(self, topic: str, marks: dict[int, int]) -> str:
        """What of a topic is not applied to its mark, or not told yet; empty when all is."""
        held = {(s.topic, p): h for w in self.living if w.flowing for s in w.stages for p, h in s.held.items()}
        for p, mark in marks.items():
            if (topic, p) not in held:
                return f"nobody holds {topic}[{p}]"
            one = held[topic, p]
            if one.step.fence < mark - 1:
                return f"{topic}[{p}] is read to {one.step.fence} of {mark}"
            if one.step.wants_snapshot or self.owes(one.step):
                return f"deliveries wait in {topic}[{p}]"
        return ""
