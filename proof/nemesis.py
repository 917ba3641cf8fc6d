"""Nemesis: does what a step says.

What: one function an action, in a table. Why: the schedule is data and can be read; this is all that acts on it. It
refuses to clean up: `Field.heal` puts everything right, whatever was done.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping

import psutil
from confluent_kafka import Producer

from proof.faults import NODES, WORKERS, Step
from proof.field import HOSTILE, PARTITIONS, Field
from proof.intent import burst
from schemas.encoding import Producer as Who
from schemas.encoding import Resource, SeriesEntry, encode_batch
from schemas.records import SourceKind
from sinks.fakes.receiver import Fault
from streams import topics

CRASH_MAX_S = 20.0
HOSTILE_VALUES = (float("nan"), float("inf"), float("-inf"), 1.7e308, -1.7e308, 5e-324, 2.0**63, -0.0)
HOSTILE_LABELS = ("\0", "\u202eabc", "a" * 4_000, "", "\U0001f4a5", "x\n# HELP y", "{}", "null")
YEAR_9999_MS = 253_402_300_799_000


class Unexpected(AssertionError):
    """Something that must not be was found"""


class Nemesis:
    """Acts on a field. `times`: how long it took until new measurements came out again, per kill, s."""

    def __init__(self, field: Field, seed: int) -> None:
        self.field, self.rng = field, random.Random(seed)
        self.recovered_s: list[float] = []
        self.injected = 0
        self._actions: Mapping[str, Callable[[Step], None]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }

    def act(self, step: Step) -> None:
        """Do it, and wait until measurements sent after it come out."""
        self._actions[step.action](step)
        self.injected += 1

    def _recover(self) -> None:
        """Wait until what is sent from now on is taken in, everywhere."""
        field = self.field
        begun, sent = time.monotonic(), field.load.acknowledged
        field.until("acknowledgements", lambda: field.load.acknowledged > sent + field.rate // 10)
        field.until("work on every partition", field.at_work)
        self.recovered_s.append(time.monotonic() - begun)

    def _do_kill(self, step: Step) -> None:
        self.field.during(step.seconds)
        self.field.workers.kill(step.target)
        self._recover()

    def _do_crash(self, step: Step) -> None:
        name, _, point = step.target.partition("=")
        field = self.field
        field.workers.kill(name)
        field.start(name, crash=point)
        if point.startswith("notify."):  # comes by there when somebody is to be told, on a partition of its own
            field.until("its share of the work", lambda: field.holds(name, "notify") and field.at_work())
            for number in range(PARTITIONS * 2):
                burst(field.load.client(f"told-{name}-{number}"), 100, 60)
        died = time.monotonic() + CRASH_MAX_S
        before = field.restarts
        while field.restarts == before and time.monotonic() < died:
            field.tend()
        if field.restarts == before:
            self.injected -= 1  # it never came by: not counted as injected
            field.workers.kill(name)
        self._recover()

    def _do_kill_all(self, step: Step) -> None:
        for name in WORKERS:
            self.field.workers.kill(name)
        self._recover()

    def _do_freeze(self, step: Step) -> None:
        pid = self.field.workers.pid(step.target)
        os.kill(pid, signal.SIGSTOP)
        self.field.during(step.seconds)
        os.kill(pid, signal.SIGCONT)
        self._recover()

    def _do_kill_leader(self, step: Step) -> None:
        cluster = self.field.cluster
        node = cluster.leader(topics.TELEMETRY, int(step.target))
        cluster.kill(node)
        self._recover()
        cluster.start(node)
        self.field.until("all copies in sync", cluster.healed)

    def _do_freeze_node(self, step: Step) -> None:
        self.field.cluster.freeze(int(step.target))
        self.field.during(step.seconds)
        self.field.cluster.thaw(int(step.target))
        self._recover()

    def _do_outage(self, step: Step) -> None:
        cluster = self.field.cluster
        nodes = self.rng.sample(sorted(cluster.nodes), step.count)
        cluster.kill(*nodes)
        self.field.during(1.0)
        before = self.field.load.acknowledged
        self.field.during(step.seconds)
        if step.count >= NODES - 1 and self.field.load.acknowledged > before:
            raise Unexpected(f"{Unexpected.__doc__}: acknowledgements below the least number of copies")
        cluster.start(*nodes)
        self._recover()

    def _do_rolling(self, step: Step) -> None:
        for name in WORKERS:
            os.kill(self.field.workers.pid(name), signal.SIGTERM)
            self._recover()
        for node in self.field.cluster.nodes:
            self.field.cluster.stop(node)
            self.field.cluster.start(node)
            self.field.until("all copies in sync", self.field.cluster.healed)
            self._recover()

    def _do_pager(self, step: Step) -> None:
        """Hang up, take it and say 500, throttle, then be dead for a while; the healthy channel is the webhook."""
        pager = self.field.pager.pagerduty
        pager.fails(
            Fault(0),
            Fault(500, taking=True),
            Fault(429, headers={"retry-after": "1"}),
            Fault(0, taking=True),
            Fault(503),
        )
        self.field.during(step.seconds)

    def _do_storm(self, step: Step) -> None:
        for number in range(step.count):
            burst(self.field.load.client(f"storm-{number}"), 100, 60)
        self._recover()

    def _do_again(self, step: Step) -> None:
        """What was sent before, so many times over, in any order."""
        kept = self.field.load.noted.kept * step.count
        self.rng.shuffle(kept)
        for key, value in kept:
            self.field.load.raw.send(key, value, lambda error: None)
        self._recover()

    def _do_poison(self, step: Step) -> None:
        good = self.field.load.noted.kept[-1][1]
        broken = (b"not avro", b"", b"\xc3\x01", b"\xc3\x01" + bytes(8) + good[10:], good[:-3], good[:12], good + b"\0",
                  good[:40] + bytes([good[40] ^ 255]) + good[41:], b"\x00\x00\x00\x00\x07" + good[10:],
                  good[:10] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" * 9, b"\x28" * 100_000, bytes(64))  # fmt: skip
        for value in broken[: step.count]:
            self._publish(b"broken", value)
        self.field.garbage += len(broken[: step.count])
        letters = self.field.watch.audit
        self.field.until("the dead letters", lambda: len(letters.dead_letters) >= self.field.garbage)
        self._recover()

    def _do_hostile(self, step: Step) -> None:
        now_ms = time.time_ns() // 1_000_000
        resource = Resource(service="hostile", source_kind=SourceKind.WEB)
        for number, (value, label) in enumerate(zip(HOSTILE_VALUES, HOSTILE_LABELS, strict=True)):
            entries = [SeriesEntry(HOSTILE, labels={"of": label})]
            made = encode_batch(
                entries, resource, Who("hostile", f"h{self.field.seed}"), base_ms=now_ms, series=[0], delta_ms=[0],
                value=[value], sequence=2 * number + 1,
            )  # fmt: skip
            self._publish(b"hostile", made)
            far = encode_batch(
                entries, resource, Who("hostile", f"h{self.field.seed}"), base_ms=YEAR_9999_MS, series=[0],
                delta_ms=[0], value=[1.0], sequence=2 * number + 2,
            )  # fmt: skip
            self._publish(b"hostile", far)
        self._recover()

    def _do_ports(self, step: Step) -> None:
        """A worker listens on its health port, on loopback, and nowhere else."""
        for name in self.field.workers.names:
            found = psutil.Process(self.field.workers.pid(name)).net_connections()
            listening = {(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN}
            if listening - {("127.0.0.1", self.field.ports[name])}:
                raise Unexpected(f"{Unexpected.__doc__}: {name} listens on {sorted(listening)}")

    def _publish(self, key: bytes, value: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.field.cluster.bootstrap, "acks": "all"})
        producer.produce(topics.TELEMETRY, value, key, self.rng.randrange(PARTITIONS))
        producer.flush(30)
