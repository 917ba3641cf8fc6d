"""Nemesis: does what a step says.

What: one function an action, in a table, those of the gateway and of records beside. Why: the schedule is data and can be
read; this is all that acts on it. It refuses to clean up: `Field.heal` puts everything right, whatever was done.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping

import psutil

from demo.workers import ROOT
from proof import payloads
from proof.faults import GATEWAY, NODES, WORKERS, Step
from proof.field import PARTITIONS, Field
from proof.harm import Unexpected
from proof.intent import burst
from proof.links import Links
from proof.registry import SCHEMA_ID, breaking
from proof.scarcity import Scarcity
from proof.siege import Siege
from proof.tampering import Tampering
from proof.telling import Telling, telling
from proof.way import Way
from streams import topics

GAP_MAX_S = 30.0  # in which a source hears nothing, while a node is replaced
NEAR_S = 60.0  # of a clock that is hours wrong
STEPS = "tocsin_clock_steps_total"
SKEWED = ROOT / "proof" / "skewed"


class Nemesis(Siege, Tampering, Telling, Scarcity, Links):
    """Every action, by its name."""

    def __init__(self, field: Field, seed: int) -> None:
        super().__init__(field, seed)
        self._actions: Mapping[str, Callable[[Step], int]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }

    def act(self, step: Step) -> None:
        """Do it, and wait until measurements sent after it come out. Raises NotInTime, Unexpected."""
        with self.field.notes.fault(step.action):
            self.injected += self._actions[step.action](step)

    def _do_kill(self, step: Step) -> int:
        self.field.during(step.seconds)
        held, since = self._victim(step.target), time.monotonic()
        self.field.kill(step.target)
        self._recover(since, held)
        return 1

    def _do_crash(self, step: Step) -> int:
        """Kill a worker and start it again so that it kills itself at a named step; two deaths, if it comes by there."""
        name, _, point = step.target.partition("=")
        field, tells = self.field, point.startswith("notify.")
        ends, asked = len(field.ends), set(field.notes.asked)
        if tells:
            self._opened(name)
        held = self._victim(name)
        if tells:
            field.acknowledge(telling(field.held(name)), 1)
        since = time.monotonic()
        field.kill(name)
        field.start(name, crash=point)
        first, alive = Way(field, since, held), time.monotonic()
        ends_at = alive + field.patience_s
        while not field.crashed(name, ends):
            if time.monotonic() > ends_at:
                raise Unexpected(f"{Unexpected.__doc__}: nobody died at {point} within {field.patience_s:.0f} s")
            first.open()
            mine = field.held(name)
            if mine:
                held, alive = {partition for _, partition in mine}, time.monotonic()
            if tells:
                self._keeps_telling(telling(mine))
            field.tend()
        field.kills += 1
        second = Way(field, alive, held)
        self._arrive(first)
        self._arrive(second)
        if tells:
            self._heard(asked)
        return 2

    def _do_kill_all(self, step: Step) -> int:
        self.field.until("all at work before all die", self.field.at_work)
        since = time.monotonic()
        for name in WORKERS:
            self.field.kill(name)
        self._recover(since, range(PARTITIONS))
        return len(WORKERS)

    def _do_freeze(self, step: Step) -> int:
        held, since = self._victim(step.target), time.monotonic()
        pid = self.field.workers.pid(step.target)
        os.kill(pid, signal.SIGSTOP)
        self._recover(since, held)
        self.field.during(since + step.seconds - time.monotonic())
        stale = self.field.watch.writers.stale
        os.kill(pid, signal.SIGCONT)
        self._recover()
        self._zombies(stale)
        return 1

    def _do_kill_leader(self, step: Step) -> int:
        return self._killed(self.field.cluster.leader(topics.TELEMETRY, int(step.target)))

    def _do_kill_controller(self, step: Step) -> int:
        """The node that decides who leads, and what it leads itself."""
        cluster = self.field.cluster
        dead = cluster.controller()
        killed = self._killed(
            dead, lambda: self.field.until("another controller", lambda: cluster.decides() not in (0, dead))
        )
        self.field.tally(controllers_killed=1)
        return killed

    def _killed(self, node: int, after: Callable[[], None] = lambda: None) -> int:
        """A node dies and comes back. `after`: what must come between. How long sources hear nothing from Kafka is bounded."""
        cluster, load = self.field.cluster, self.field.load
        load.journal.gap_s(load.direct, afresh=True)
        since = time.monotonic()
        cluster.kill(node)
        self._recover(since, range(PARTITIONS))
        after()
        gap_s = round(load.journal.gap_s(load.direct), 1)
        cluster.start(node)
        self.field.until("all copies in sync", cluster.healed)
        self.field.note(longest_without_acknowledgement_s=gap_s)
        if gap_s > GAP_MAX_S:
            raise Unexpected(
                f"{Unexpected.__doc__}: nothing was acknowledged for {gap_s} s, {GAP_MAX_S:.0f} are allowed"
            )
        return 1

    def _do_freeze_node(self, step: Step) -> int:
        since = time.monotonic()
        self.field.cluster.freeze(int(step.target))
        way = Way(self.field, since, range(PARTITIONS))
        self._meanwhile(step.seconds, way)
        self.field.cluster.thaw(int(step.target))
        self._arrive(way)
        return 1

    def _do_outage(self, step: Step) -> int:
        """Its recovery is counted from the moment at which the nodes are started again."""
        cluster = self.field.cluster
        nodes = self.rng.sample(sorted(cluster.nodes), step.count)
        cluster.kill(*nodes)
        self.field.during(1.0)
        before = self.field.load.acknowledged
        self.field.during(step.seconds)
        if step.count >= NODES - 1 and self.field.load.acknowledged > before:
            raise Unexpected(f"{Unexpected.__doc__}: acknowledgements below the least number of copies")
        since = time.monotonic()
        cluster.start(*nodes)
        self._recover(since, range(PARTITIONS))
        return len(nodes)

    def _do_rolling(self, step: Step) -> int:
        """So many workers, then so many nodes, ended in good order and started again."""
        for name in WORKERS[: step.count]:
            held, since = self._victim(name), time.monotonic()
            os.kill(self.field.workers.pid(name), signal.SIGTERM)
            self._recover(since, held)
        for node in list(self.field.cluster.nodes)[: step.count]:
            since = time.monotonic()
            self.field.cluster.stop(node)
            self._recover(since, range(PARTITIONS))
            self.field.cluster.start(node)
            self.field.until("all copies in sync", self.field.cluster.healed)
        return min(step.count, len(WORKERS)) + min(step.count, NODES)

    def _do_registry(self, step: Step) -> int:
        """A producer whose registered schema breaks the old one: its records are dead letters, and nobody ends. Then a
        registry that goes away: what its records name is known already, and goes on. Then a worker dies, and whoever takes
        over what it held cannot learn it again before the registry is back; nothing is lost meanwhile."""
        field = self.field
        source = field.load.framed(f"framed-{self._boot()}", SCHEMA_ID)
        burst(source, 20, 0)
        field.until("the question for the schema", lambda: field.registry.told > 0)
        self._recover()
        ends = len(field.ends)
        good = payloads.outcomes("broken", self._boot(), time.time_ns() // 1_000_000, 3, True, payloads.POISON)
        self._fated(b"broken", [(breaking(good), "resolution")])
        field.registry.down()
        burst(source, 20, 0)
        self._recover()
        if len(field.ends) > ends:
            raise Unexpected(
                f"{Unexpected.__doc__}: a worker ended by a schema that breaks another, or although it knew one"
            )
        held = self._victim(step.target)
        field.kill(step.target)
        burst(source, 20, 0)
        field.during(step.seconds)
        since = time.monotonic()
        field.registry.up()
        self._recover(since, held)
        return 2

    def _wrong(self, name: str, clock: str) -> bool:
        """Whether what a worker writes has the clock that it was given; one that is set while it works must say so."""
        offset, _, later = clock.partition("@")
        if later:
            return any(count for name, count in self.field.metrics(name).items() if name.startswith(STEPS))
        found = {source for stage, source in self.field.held(name) if stage == "aggregate"}
        return any(abs(self.field.watch.writers.ahead_s(source) - float(offset)) < NEAR_S for source in found)

    def _do_skew(self, step: Step) -> int:
        """A worker whose clock is wrong from its start, or set while it works, or a gateway; then one that is right takes over."""
        name, _, clock = step.target.partition("=")
        own = {"PROOF_CLOCK": clock, "PYTHONPATH": f"{SKEWED}{os.pathsep}{ROOT}"}
        if name == GATEWAY:
            return self._gateway_skewed(own, float(clock), step.seconds)
        self._restarted(name, own)
        self._meanwhile(step.seconds, Way(self.field))
        self.field.until(f"{name} with its clock at {clock}", lambda: self._wrong(name, clock))
        held, since = self._victim(name), time.monotonic()
        self.field.kill(name)
        self._recover(since, held)
        return 1

    def _gateway_skewed(self, own: Mapping[str, str], wrong_s: float, seconds: float) -> int:
        """What it takes in meanwhile comes out as ever; its answers must have that clock, and afterwards the right one."""
        way = self._gateway_again(own, wrong_s)
        self._meanwhile(seconds, way)
        self._arrive(way)
        self._arrive(self._gateway_again({}, 0.0))
        return 1

    def _gateway_again(self, own: Mapping[str, str], ahead_s: float) -> Way:
        """A new life of the gateway, whose clock is that much ahead; and what was sent to it first."""
        gate = self.field.gate
        lives = len(gate.died)
        gate.again(own)
        self.field.until("the end of the gateway", lambda: len(gate.died) > lives)

        def so() -> bool:
            found_s = gate.ahead_s()
            return found_s is not None and abs(found_s - ahead_s) < NEAR_S

        self.field.until(f"a gateway whose clock is {ahead_s:.0f} s ahead", so)
        return Way(self.field, gate.died[-1], range(PARTITIONS), self.field.gated)

    def _do_ports(self, step: Step) -> int:
        """A worker listens on its health port, on loopback, and nowhere else."""
        self.field.until("both workers, to look at their ports", self.field.at_work)
        for name in WORKERS:
            found = psutil.Process(self.field.workers.pid(name)).net_connections()
            listening = {(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN}
            if listening != {("127.0.0.1", self.field.ports[name])}:
                raise Unexpected(f"{Unexpected.__doc__}: {name} listens on {sorted(listening)}")
        return len(WORKERS)
