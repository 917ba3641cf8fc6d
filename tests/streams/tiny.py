"""A tiny stage for tests: counts and sums integers, one output a drain, cumulative as of the fence.

What: `CountStep`, and `main`, which runs a whole Faust worker around it, wired as `streams.app` wires the real steps.
Why: exactness, crashes and traps are properties of the shell, and show best on a step that cannot be wrong. It refuses
to know telemetry.

Run: TINY='{"bootstrap": ..., "application": ..., "topic": ..., "output": ..., "state": ...}' python tiny.py
"""

from __future__ import annotations

import bisect
import dataclasses
import json
import os
import pathlib
import struct
import sys
import threading
import time

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import faust
from yarl import URL

from streams import fetching, health, logs
from streams.producer import Outgoing, Producer
from streams.records import Record
from streams.stage import Pace, Stage
from streams.statelog import StateLog
from streams.transport import ChunkTransport
from streams.watchdog import Watchdog

STATE = struct.Struct("<qqq")


@dataclasses.dataclass
class Facts:
    """What a tiny worker is told."""

    bootstrap: str
    application: str
    topic: str
    output: str
    state: str  # name of the stage: the state topic is tocsin.state.<state>
    partitions: int = 4
    quiet: bool = False  # counts and no more, outputs nothing: for measuring
    bad: int = -1  # a value that the step can't take
    health_port: int = 0
    session_timeout_s: float = 3.0
    snapshot_min_s: float = 0.3
    checkpoint_s: float = 0.2
    unfold: int = 64 << 20
    fetch_bytes: int = 32 << 20
    max_chunk_records: int = 50_000


class CountStep:
    """Count and sum of the integers in a partition."""

    urgent = False
    wants_snapshot = False

    def __init__(self, partition: int, facts: Facts) -> None:
        self.partition, self._facts = partition, facts
        self.fence, self.count, self.sum, self.refused = -1, 0, 0, 0
        self.caught_up = False
        self.closed = False
        self._drained_at = -1

    def apply(self, records: list[Record]) -> None:
        if self._facts.quiet:
            self.count += sum(1 for record in records if record.offset > self.fence)
            self.fence = records[-1].offset
            return
        start = (
            0 if records[0].offset > self.fence else bisect.bisect_right(records, self.fence, key=lambda r: r.offset)
        )
        for record in records[start:]:
            if record.value.startswith(fetching.REFUSED_BATCH):
                self.refused += 1
                continue
            number = int(record.value[:20])
            if number == self._facts.bad:
                raise ValueError(f"can't take {number}")
            self.sum += number
            self.count += 1
        self.fence = records[-1].offset

    def tick(self, now_ms: int, caught_up: bool) -> None:
        self.caught_up = caught_up

    def drain(self) -> list[Outgoing]:
        if self.fence == self._drained_at or self._facts.quiet:
            return []
        self._drained_at = self.fence
        value = {
            "partition": self.partition,
            "fence": self.fence,
            "count": self.count,
            "sum": self.sum,
            "refused": self.refused,
        }
        return [Outgoing(self._facts.output, b"%d" % self.partition, json.dumps(value).encode(), self.partition)]

    def settled(self) -> None:
        pass

    def snapshot(self) -> bytes:
        return STATE.pack(self.fence, self.count, self.sum)

    def restore(self, data: bytes) -> None:
        self.fence, self.count, self.sum = STATE.unpack(data)

    def close(self) -> None:
        self.closed = True


def faust_app(facts: Facts) -> faust.App:
    """As `streams.app.faust_app`, with shorter times."""
    app = faust.App(
        facts.application,
        broker=f"kafka://{facts.bootstrap}",
        store="memory://",
        topic_partitions=facts.partitions,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=8 << 20,
        broker_session_timeout=facts.session_timeout_s,
        broker_heartbeat_interval=0.5,
        broker_max_poll_records=facts.max_chunk_records,
        broker_commit_interval=0.5,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        agent_supervisor="mode.CrashingSupervisor",
        autodiscover=False,
        datadir=str(pathlib.Path.cwd() / facts.application),
    )
    app.transport = ChunkTransport([URL(f"kafka://{facts.bootstrap}")], app, app.loop)
    return app


def worker(facts: Facts) -> tuple[faust.App, Stage[CountStep], Watchdog]:
    """The parts of a worker, wired."""
    app = faust_app(facts)
    producer = Producer(facts.bootstrap, 10.0)
    state = StateLog(facts.bootstrap, facts.application, facts.state, 20.0)
    pace = Pace(facts.checkpoint_s, facts.snapshot_min_s, 2.0, 0.05, 2_000_000)
    stage = Stage(
        "tiny",
        facts.topic,
        lambda partition: CountStep(partition, facts),
        state,
        producer,
        pace,
        lambda: int(app.consumer_generation_id),
        lambda topic, partition: app.consumer.highwater(faust.types.TP(topic, partition)),
    )
    watchdog = Watchdog(app, [stage], 20.0)

    async def restore(topic: str, partition: int) -> int | None:
        return await stage.restore(partition) if topic == facts.topic else None

    async def assigned(assignment: set[tuple[str, int]]) -> None:
        stage.keep_only(partition for topic, partition in assignment if topic == facts.topic)

    ChunkTransport.configure(restore, assigned, facts.max_chunk_records, 16 << 20, finish=stage.finish)
    fetching.bound(facts.unfold, facts.fetch_bytes)
    channel = app.topic(facts.topic, key_serializer="raw", value_serializer="raw", partitions=facts.partitions)

    async def agent(stream) -> None:
        await stage.consume(stream.noack().events())

    async def checkpoints() -> None:
        await stage.checkpoints(lambda: app.should_stop)

    app.agent(channel, name="tiny")(agent)
    app.task(checkpoints)
    app.task(watchdog.run)
    if facts.health_port:
        health.serve(facts.health_port, [stage], watchdog)
    return app, stage, watchdog


def measure(stage: Stage[CountStep]) -> None:
    """Print how many records a second go through, each second; on a thread."""
    before, then, burnt = 0, time.perf_counter(), time.process_time()
    while True:
        time.sleep(1.0)
        now, cpu, count = time.perf_counter(), time.process_time(), sum(h.step.count for h in list(stage.held.values()))
        rates = f"{(count - before) / (now - then):,.0f}/s {(count - before) / (cpu - burnt):,.0f}/cpu-s"
        print(f"RATE {rates} total {count}", flush=True)
        before, then, burnt = count, now, cpu


def main() -> None:
    """Run a worker until it is told to stop."""
    facts = Facts(**json.loads(os.environ["TINY"]))
    logs.start("console", os.environ.get("TINY_LOG", "INFO"))
    app, stage, _ = worker(facts)
    if facts.quiet:
        threading.Thread(target=measure, args=[stage], daemon=True).start()
    faust.Worker(app, override_logging=False, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
