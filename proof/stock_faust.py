"""Stock Faust: the control that is what Tocsin is built on, doing a windowed count as its users write it, and killed.

What: events on the run's own cluster, `proof.stock_worker` under kill -9 between two outputs, and the same comparison that
judges Tocsin, held against the table's changelog and against the outputs, one for each input. Why: the promise means
something only where the usual way is seen to break it. It refuses to expect anything of exactly_once: what a run measured
stands in the table, and where it was exact the table says so.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # a re-export that is not declared

from demo.audit import compare
from demo.ledger import WINDOW_MS, Cell, Cells, add
from demo.workers import ROOT
from local.process import Child, end, spawn, tail
from proof.cluster import NODES, Cluster
from proof.controls import Control, committed
from streams.topics import admin

PROGRAM = "proof.stock_worker"
GUARANTEES = ("at_least_once", "exactly_once")
PARTITIONS = 4
EVENTS, SERIES, STEP_MS = 6_000, 8, 10
KILLS = 3
PATIENCE_S = 120.0
LAST_LIVES = 3  # to take in the rest: one that stands still is started again, as an orchestrator would
POLL_S = 0.2


class StockNotDone(TimeoutError):
    """Stock Faust did not get on"""


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One worker program's topics and group on a cluster."""

    bootstrap: str
    guarantee: str

    @property
    def name(self) -> str:
        """Of the Faust app, and what its topics begin with."""
        return f"proof-stock-{self.guarantee}"

    @property
    def places(self) -> list[TopicPartition]:
        """Partitions of the input."""
        return [TopicPartition(f"{self.name}-events", number) for number in range(PARTITIONS)]

    def consumer(self, **options: object) -> Consumer:
        """One that reads what is committed, and commits nothing itself."""
        own = {"bootstrap.servers": self.bootstrap, "group.id": self.name, "enable.auto.commit": False}
        return Consumer({**own, "auto.offset.reset": "earliest", "enable.partition.eof": True, **options})

    def make(self) -> None:
        """Its topics, with copies as the product's."""
        client = admin(self.bootstrap)  # must outlive the answers
        wanted = [NewTopic(f"{self.name}-{what}", PARTITIONS, NODES) for what in ("events", "echo")]
        for answer in client.create_topics(wanted).values():
            answer.result(30)

    def publish(self, seed: int) -> Cells:
        """The events, each once, acknowledged by all copies; the truth about them. Raises StockNotDone."""
        rng = random.Random(seed)
        truth: Cells = {}
        base_ms = time.time_ns() // 1_000_000 - EVENTS * STEP_MS
        producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all", "enable.idempotence": True})
        for number in range(EVENTS):
            event = {"series": f"s-{number % SERIES}", "time": (base_ms + number * STEP_MS) / 1000}
            event |= {"value": rng.randrange(1, 1000), "id": rng.getrandbits(63)}
            add(truth, *counted(event))
            producer.produce(f"{self.name}-events", json.dumps(event).encode(), str(event["series"]).encode())
        if producer.flush(PATIENCE_S):
            raise StockNotDone(f"{StockNotDone.__doc__}: its events were not acknowledged")
        return truth

    def done(self, consumer: Consumer) -> bool:
        """Whether its group committed all of the input."""
        return sum(max(0, place.offset) for place in committed(consumer, self.places)) == EVENTS

    def table(self) -> Cells:
        """The table, as its changelog has it."""
        newest = dict(everything(self.consumer(), f"{self.name}-windows-changelog"))
        cells: Cells = {}
        for key, value in newest.items():
            series, (begins, _) = json.loads(key)
            add(cells, place_of(series, begins * 1000), Cell(*json.loads(value)))
        return cells

    def outputs(self) -> Cells:
        """What was passed on, every record counted."""
        cells: Cells = {}
        for _, value in everything(self.consumer(), f"{self.name}-echo"):
            add(cells, *counted(json.loads(value)))
        return cells


def place_of(series: str, time_ms: float) -> tuple[Any, int]:
    """Where a measurement is counted."""
    return ("stock", "gauge", "1", "web", (("series", series),)), int(time_ms) // WINDOW_MS * WINDOW_MS


def counted(event: Mapping[str, Any]) -> tuple[tuple[Any, int], Cell]:
    """One measurement as a cell."""
    value = event["value"]
    return place_of(event["series"], round(event["time"] * 1000)), Cell(1, value, value, value, event["id"])


def everything(consumer: Consumer, topic: str) -> Iterator[tuple[bytes, bytes]]:
    """Every committed record of a topic."""
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    ended: set[int | None] = set()
    while len(ended) < PARTITIONS:
        for message in consumer.consume(1_000, POLL_S):
            error = message.error()
            if error is None:
                yield message.key() or b"", message.value() or b""
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                ended.add(message.partition())
    consumer.close()


class Runner:
    """Starts and kills the worker of a job, and watches what it puts out."""

    def __init__(self, job: Job, directory: Path) -> None:
        self.job, self.directory = job, directory
        self.lives = self.put_out = 0
        self._watching = job.consumer(**{"isolation.level": "read_uncommitted"})
        self._watching.assign([TopicPartition(f"{job.name}-echo", number, 0) for number in range(PARTITIONS)])

    @property
    def _log(self) -> Path:
        return self.directory / f"{self.job.name}-{self.lives}.log"

    def start(self) -> Child:
        """Another life of it."""
        self.lives += 1
        own = {
            "PROOF_NAME": self.job.name,
            "PROOF_BOOTSTRAP": self.job.bootstrap,
            "PROOF_GUARANTEE": self.job.guarantee,
        }
        where = str(self.directory / self.job.name)
        return spawn(
            [sys.executable, "-m", PROGRAM, "--datadir", where, "worker", "--without-web", "-l", "warn"],
            {**os.environ, **own, "PYTHONPATH": str(ROOT)}, self._log,
            name=self.job.name, mark=PROGRAM, ports=(), guarded=True,
        )  # fmt: skip

    def until(self, child: Child, holds: Callable[[], bool]) -> bool:
        """Watch its outputs until it holds; False when it ends by itself, or does not get on in time."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if child.exit_code() is not None or time.monotonic() > deadline:
                return False
            found = self._watching.consume(1_000, POLL_S)
            self.put_out += sum(message.error() is None for message in found)
        return True

    def live(self, outputs: int) -> None:
        """A life that ends by kill -9 after so many outputs. Raises StockNotDone when there was none at all."""
        child, before = self.start(), self.put_out
        try:
            self.until(child, lambda: self.put_out >= before + outputs)
            if self.put_out == before:
                raise StockNotDone(f"{StockNotDone.__doc__}: {self.job.guarantee}:{tail(self._log)}")
        finally:
            end(child.identity, signal.SIGKILL)
            child.reap()

    def finish(self) -> bool:
        """Lives that take in the rest, and end in good order; False when it is not taken in by the last of them."""
        try:
            return any(self._rest() for _ in range(LAST_LIVES))
        finally:
            self._watching.close()

    def _rest(self) -> bool:
        child = self.start()
        try:
            return self.until(child, lambda: self.job.done(self._watching))
        finally:
            end(child.identity)
            child.reap()


def tried(cluster: Cluster, directory: Path, seed: int, guarantee: str) -> list[Control]:
    """What a guarantee was worth under kills: of the table, and of one output for each input. Raises StockNotDone."""
    job, rng = Job(cluster.bootstrap, guarantee), random.Random(seed)
    job.make()
    truth, runner = job.publish(seed), Runner(job, directory)
    for _ in range(KILLS):
        runner.live(rng.randint(200, EVENTS // KILLS // 2))
    stuck = "" if runner.finish() else f", stuck in {LAST_LIVES} lives after"
    found = {"its table": job.table(), "one output an input": job.outputs()}
    must = guarantee == GUARANTEES[0]
    answers = []
    for what, cells in found.items():
        verdict = compare(truth, cells, {}, 0)
        name = f"stock Faust {guarantee}, {KILLS} x kill -9 in {EVENTS:,} events{stuck}: {what}"
        answers.append(Control(name, verdict.lost, verdict.doubled + verdict.invented + verdict.altered, must))
    return answers


def both(cluster: Cluster, directory: Path, seed: int) -> list[Control]:
    """Of both guarantees."""
    return [control for guarantee in GUARANTEES for control in tried(cluster, directory, seed, guarantee)]
