"""Field: what is under test and what watches it: cluster, workers, pager, load; and how each fault is brought about.

What: `Field` starts all of it, looks after the workers as an orchestrator would (one that ended is started again), and
`Nemesis` does what a step says. Why: faults are data (`proof.faults`), and only this file knows how to cause them. It
refuses to wait without a bound: every wait names what did not come.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Self

from bench.rig import Metrics
from cli import ask
from demo import windows
from demo.audit import Verdict, compare
from demo.ideal import Expected, Life
from demo.ledger import Cells
from demo.objectives import read as objectives
from demo.pager import Pager, stand_ins
from demo.pages import Page, match
from demo.workers import ROOT, Workers
from local.process import free_port
from proof.cluster import NODES, Cluster
from proof.detour import Detour
from proof.faults import STAGES, WORKERS
from proof.gate import LONG, SHORT, Gate
from proof.intent import Load
from proof.oracle import Watch
from proof.pages import FALLBACK, FALLBACK_AFTER_S, WEBHOOK, Notes, Request, incidents, of_pager, of_webhook, repeated
from proof.payloads import APART, FLOOD, HOSTILE
from proof.probes import Probes
from proof.registry import Registry
from schemas.records import Command, SloGroup
from streams import topics

PARTITIONS = 4
PATIENCE_S = 90.0
ANSWER_S = 0.5
PAGER_TIMEOUT_S = 3
BOOKS_MAX_S = 30.0
REASONS_MAX_S = 30.0
UNACCOUNTED = "tocsin_unaccounted_events"
SLOS = ROOT / "proof" / "slos"
SETTINGS = {
    "TOCSIN_PARTITIONS": str(PARTITIONS),
    "TOCSIN_REPLICATION": "3",
    "TOCSIN_SLO_PATH": str(SLOS),
    "TOCSIN_FINGERPRINT": "true",
    "TOCSIN_SESSION_TIMEOUT_S": "3",
    "TOCSIN_HEARTBEAT_S": "0.5",
    "TOCSIN_SNAPSHOT_MIN_S": "0.5",
    "TOCSIN_MAX_SERIES": "1500",
}
#: In the long form brokers are away for five minutes; what web sources held so long must still be counted.
LONG_SETTINGS = {"TOCSIN_HORIZON_MS": "480000,120000,3600000,120000"}


def judged(cells: Cells) -> Cells:
    """Without what is judged apart."""
    return {key: cell for key, cell in cells.items() if key[0][0] not in APART}


class NotInTime(TimeoutError):
    """What was waited for did not come"""


class Field:
    """All of it. A context manager."""

    def __init__(
        self, directory: Path, seed: int, rate: int, patience_s: float = PATIENCE_S, long: bool = False
    ) -> None:
        self.directory, self.seed, self.rate, self.patience_s = directory, seed, rate, patience_s
        self.long = long
        self.detour = Detour(NODES)
        self.ports = {name: free_port() for name in WORKERS}
        self.resting: set[str] = set()  # workers that nobody starts again for now
        self.kills = 0  # kills: of workers that lived
        self.ends: list[tuple[str, int]] = []  # workers that ended without being killed from here: (name, exit code)
        self.deadlines = LONG if long else SHORT
        self.flooded = self.hostile = 0  # measurements that are judged apart, and are to be counted
        self.late_on_purpose = 0  # see `late`
        self.unfolding: set[tuple[int, int]] = set()  # places of the raw topic that unfold to a gigabyte
        self.answers_lost = 0  # of the gateway, after Kafka had acknowledged
        self.worst: dict[str, float] = {}  # figures of rows, the largest of each or their sum
        self.notes = Notes()
        self.objectives = objectives(SLOS)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.detour)
            self.cluster = Cluster(self.directory, [link.port for link in self.detour.links])
            for link, seat in zip(self.detour.links, self.cluster.seats, strict=True):
                link.target = seat.detour[0] if seat.detour else 0
            stack.enter_context(self.cluster)
            topics.ensure(self.cluster.bootstrap, PARTITIONS, NODES)
            self.pager: Pager = stack.enter_context(stand_ins(self.directory, int(FALLBACK_AFTER_S), PAGER_TIMEOUT_S))
            self.registry = stack.enter_context(Registry())
            addresses = {"TOCSIN_REGISTRY_URL": self.registry.url, "TOCSIN_BOOTSTRAP": self.cluster.bootstrap}
            own = LONG_SETTINGS if self.long else {}
            self.environment = {**SETTINGS, **own, **addresses, **self.pager.environment}
            self.workers = Workers(self.environment, self.directory)
            stack.callback(self._end_workers)
            self.gate = stack.enter_context(Gate(self.cluster.bootstrap, self.directory, self.deadlines))
            self.watch = Watch(self.cluster.bootstrap)
            stack.callback(self.watch.close)
            journal = self.directory / "journal.tsv"
            load = Load(self.cluster.bootstrap, journal, self.seed, self.rate, PARTITIONS, self.gate.url)
            with contextlib.ExitStack() as unless:
                unless.callback(load.close)
                load.hour_before(time.time_ns() // 1_000_000)
                unless.pop_all()
            for name in WORKERS:
                self.start(name)
            self.load = stack.enter_context(load)
            slo = self.objectives[0].slo
            self.probes = Probes(self.load.client, self.watch, slo, PARTITIONS)
            self.gated = Probes(self.load.gated, self.watch, slo, PARTITIONS, "gated")
            self.until("both workers at work", self.at_work)
            self._first(self.probes)
            self._first(self.gated)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    def _first(self, probes: Probes) -> None:
        number = probes.send()
        self.until("the first that is taken in", lambda: len(probes.came(number)) == PARTITIONS)

    def _end_workers(self) -> None:
        for name in self.workers.names:
            self.workers.kill(name)

    def start(self, name: str, crash: str = "", own: Mapping[str, str] | None = None) -> None:
        """A worker, on a port of its own; `crash`: where it kills itself; `own`: more settings for this life only."""
        port = {"TOCSIN_HEALTH_PORT": str(self.ports[name]), "TOCSIN_CRASH_AT": crash}
        self.workers.start(name, port | dict(own or {}))

    def kill(self, name: str) -> None:
        """SIGKILL; counted when there was somebody to kill."""
        self.kills += name in self.workers.names
        self.workers.kill(name)

    def tend(self) -> None:
        """Take in what came out, and start workers that have ended."""
        self.watch.poll()
        if self.load.failure is not None:
            raise self.load.failure
        self.gate.tend()
        for name in set(WORKERS) - set(self.workers.names) - self.resting:
            with contextlib.suppress(KeyError):  # killed from here
                self.ends.append((name, self.workers.code(name) or 0))
                self.workers.kill(name)  # gone already: its guard goes too
            self.start(name)

    def crashed(self, name: str, since: int) -> bool:
        """Whether that worker has killed itself, after the first `since` ends."""
        return (name, -signal.SIGKILL) in self.ends[since:]

    def until(self, what: str, holds: Callable[[], bool], patience_s: float = 0.0) -> None:
        """Wait until it holds, for `patience_s` or else the field's own. Raises NotInTime."""
        begun, patience_s = time.monotonic(), patience_s or self.patience_s
        while not holds():
            if time.monotonic() - begun > patience_s:
                raise NotInTime(f"{NotInTime.__doc__}: {what}, {patience_s:.0f} s")
            self.tend()

    def during(self, seconds: float) -> None:
        """Let it run for so long, looked after."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.tend()

    def found(self) -> Cells:
        """What was aggregated, without what is judged apart."""
        return judged(self.watch.audit.found())

    def verdict(self) -> Verdict:
        """Ledger against rollups, the late and the dead."""
        audit = self.watch.audit
        return compare(self.load.truth(), self.found(), judged(audit.late()), len(audit.dead_letters))

    def longer(self) -> dict[int, Verdict]:
        """The same of each longer window that is over, by its length in ms."""
        truth, audit = self.load.truth(), self.watch.audit
        late, over_ms = judged(audit.late()), max((start_ms for _, start_ms in truth), default=0)
        found = {window_ms: judged(audit.found(window_ms)) for window_ms in windows.LENGTHS_MS}
        return {
            window_ms: windows.compare(truth, cells, late, window_ms, over_ms) for window_ms, cells in found.items()
        }

    def late(self) -> int:
        """Measurements of the ledger that the platform put aside as too late, so far. A row that sends some beyond the late
        horizon on purpose, each record with nothing else in it, adds how many to `late_on_purpose`; at the end of a run
        there must be exactly so many: one more is a loss by another name, one fewer was not put aside."""
        return sum(cell.count for cell in judged(self.watch.audit.late()).values())

    def apart(self, metric: str) -> tuple[int, int]:
        """Of a metric that is judged apart: measurements found, and in how many series."""
        found = [cell.count for key, cell in self.watch.audit.found().items() if key[0][0] == metric]
        return sum(found), len(found)

    def strangers(self) -> list[str]:
        """What is wrong with those that the ledger does not know: each is counted once, the flood in few series."""
        wrong = []
        counted, series = self.apart(FLOOD)
        if counted != self.flooded or (self.flooded and series >= self.flooded):
            wrong.append(f"of {self.flooded} measurements of the flood {counted} were counted, in {series} series")
        counted, _ = self.apart(HOSTILE)
        if counted != self.hostile:
            wrong.append(f"of {self.hostile} hostile measurements that are good {counted} were counted")
        return wrong

    def note(self, **figures: float) -> None:
        """The largest of each is shown."""
        for name, value in figures.items():
            self.worst[name] = max(self.worst.get(name, value), value)

    def tally(self, **figures: float) -> None:
        """The sum of each is shown."""
        for name, value in figures.items():
            self.worst[name] = self.worst.get(name, 0) + value

    def says(self, name: str, words: Collection[str]) -> int:
        """How many lines of a worker's log have one of these words, in this life of it."""
        text = self.workers.log(name).read_text(encoding="utf-8", errors="replace")
        return sum(any(word in line for word in words) for line in text.splitlines())

    def known(self, service: str) -> Callable[[int], bool]:
        """Whether so many requests of a service, from now on, have been taken in."""
        group = SloGroup(self.objectives[0].slo, 0, {"service": service}).canonical()
        self.watch.follow(group)
        return lambda count: self.watch.counted(group) >= count

    def expected(self, services: Collection[str] | None = None) -> list[Expected]:
        """Each page that the mathematics asks for, of those services; of all by default."""
        outcomes = {
            series: events
            for series, events in self.load.told.outcomes().items()
            if services is None or dict(series[4]).get("service") in services
        }
        return [page for objective in self.objectives for page in objective.expected(outcomes)]

    def pages(self, services: Collection[str] | None = None) -> tuple[list[Page], list[str]]:
        """Each page that is expected with what became of it, and keys of those at the pager that nothing asked for (only of
        all)."""
        found, unasked = match(self.expected(services), self.pager.arrivals(), self.watch.log)
        return found, unasked if services is None else []

    def unasked(self, known: Collection[str] = ()) -> set[str]:
        """Keys at the pager that nothing asked for, but those. A page may be there before we have read why: waited for."""
        with contextlib.suppress(NotInTime):
            self.until("reasons for all pages", lambda: set(self.pages()[1]) <= set(known), REASONS_MAX_S)
        return set(self.pages()[1]) - set(known)

    def requests(self) -> list[Request]:
        """All that reached the far ends of the channels."""
        found = of_pager(self.pager.pagerduty.log()) + of_webhook(WEBHOOK, self.pager.webhook.log())
        return found + of_webhook(FALLBACK, self.pager.backup.log() if self.pager.backup else [])

    def lives(self) -> dict[str, Life]:
        """The alert that the mathematics asks for, by incident at the pager."""
        outcomes = self.load.told.outcomes()
        expected = [life for objective in self.objectives for life in objective.lives(outcomes)]
        opened = {incident.dedup_key: incident.opened_ms for incident in self.pager.pagerduty.incidents}
        return incidents(opened, {key: self.watch.log.subjects(key) for key in opened}, expected)

    def open(self, partitions: Collection[int]) -> list[str]:
        """Incidents at the pager that nobody has acknowledged, of which one that holds those partitions tells."""
        return [
            incident.dedup_key for incident in list(self.pager.pagerduty.incidents)
            if incident.status == "triggered" and incident.dedup_key not in self.notes.asked
            and self.watch.places.get(incident.dedup_key) in partitions
        ]  # fmt: skip

    def acknowledge(self, partitions: Collection[int], most: int = PARTITIONS) -> int:
        """A person acknowledges so many of what is open there, each once; with `tocsin ack`'s own words."""
        found = self.open(partitions)[:most]
        for key in found:
            now_ms = self.notes.asked[key] = time.time_ns() // 1_000_000
            command = Command(f"proof-{key}", "acknowledge", key, "proof", now_ms, {})
            ask.send(self.cluster.bootstrap, ask.Asked(command, self.watch.places[key], 0))
        return len(found)

    def opened(self) -> list[str]:
        """The key of each incident at the pager."""
        return [incident.dedup_key for incident in self.pager.pagerduty.incidents]

    def repeated(self) -> int:
        """Incidents at the pager beyond one for each key, and for each group."""
        return repeated(self.opened(), self.watch.log.subjects)

    def metrics(self, name: str) -> Metrics:
        """A worker's metrics; empty when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=ANSWER_S) as answer:
                return Metrics.parse(answer.read().decode())
        except (OSError, http.client.HTTPException):  # gone, or gone in the middle of its answer
            return Metrics()

    def held(self, name: str) -> set[tuple[str, int]]:
        """(stage, partition) of all that a worker says it holds."""
        found = self.metrics(name)
        return {
            (stage, n) for stage in STAGES for n in range(PARTITIONS)
            if f"tocsin_lag_records{{partition={n},stage={stage}}}" in found
        }  # fmt: skip

    def at_work(self) -> bool:
        """Whether each worker holds something, and all of them everything."""
        held = [self.held(name) for name in self.workers.names]
        return len(held) == len(WORKERS) and all(held) and len(set().union(*held)) == len(STAGES) * PARTITIONS

    def unaccounted(self) -> list[str]:
        """I5: what the workers themselves can't account for, by stage; and a worker that does not say."""
        said: dict[str, Metrics] = {}

        def all_say() -> bool:  # one that ends, or that was started a moment ago, is asked again, the others with it
            said.update({name: self.metrics(name) for name in WORKERS})
            return all(UNACCOUNTED in found for found in said.values())

        with contextlib.suppress(NotInTime):
            self.until("books", all_say, BOOKS_MAX_S)
        total = Metrics()
        for found in said.values():
            for stage in STAGES:
                total[stage] += found[f"{UNACCOUNTED}{{{stage}}}"]
        silent = [f"{name} does not say what is unaccounted for" for name in WORKERS if UNACCOUNTED not in said[name]]
        return silent + [f"{count:.0f} unaccounted for in {stage}" for stage, count in total.items() if count]

    def heal(self) -> None:
        """Everything that a fault left behind is put right."""
        self.pager.pagerduty.stays(None)
        self.detour.heal()
        self.registry.up()
        self.resting.clear()
        for name in self.workers.names:
            os.kill(self.workers.pid(name), signal.SIGCONT)
        for node in self.cluster.running:
            self.cluster.thaw(node)
        missing = [node for node in self.cluster.nodes if node not in self.cluster.running]
        if missing:
            self.cluster.start(*missing)
        self.until("all copies in sync", self.cluster.healed)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """The load stands still, and the fate of all that was sent is known."""
        with self.load.paused():
            yield
