"""Gateway: how fast one gateway process takes batches, and what good clients notice of bad ones and of a broker that is away.

What: `tocsin gateway` as an operator starts it, with its defaults; closed loops, a paced load by itself, beside a thousand
connections whose heads never end and beside bombs; then minutes without the broker. Why: the promise behind 200 costs a
round trip to Kafka, and must not cost more when strangers press. Runs are interleaved. It refuses the time of a run whose
records are not all in the topic, and a load whose own process was the limit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence

import psutil
from confluent_kafka import Consumer, TopicPartition

from bench import attack, posting
from bench.child import child
from bench.outcome import WrongOutcome
from bench.posting import BATCH, Posted
from bench.results import Figure
from bench.rig import Rig, await_that, environment, why
from bench.workloads import PARTITIONS

RATE = 200_000  # measurements a second: half of what is promised
SLOW = 1_000
BOMBS_S = 10.0
FOLDED_RECORDS = 64  # in a request, as the client library sends them at most
BUSY = 0.9  # cores: above it, the clients may have been the limit
AWAY_RATE = 20.0  # requests a second while there is no broker
MEMORY_MB = 300  # two budgets (bodies 134 MB, queue 67 MB) beside the process itself
END_S = 60.0

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Load:
    """How much. Times in seconds."""

    batches: int  # of a closed loop
    paced_s: float
    away_s: float


FULL, QUICK = Load(12_000, 15.0, 300.0), Load(2_000, 4.0, 5.0)


@dataclasses.dataclass(frozen=True)
class Run:
    """One load on a fresh gateway. `cpu_us`: the gateway's processor time for a batch; `peak_mb`: its highest memory."""

    posted: Posted
    cpu_us: float
    peak_mb: float

    def line(self) -> str:
        """In words."""
        return (
            f"{self.posted.per_s:,.0f}/s, p50 {self.posted.p50_ms:.0f} ms, p99 {self.posted.p99_ms:.0f} ms, "
            f"{self.cpu_us:.0f} us of the gateway a batch, {self.peak_mb:.0f} MB; clients {self.posted.cores:.2f} cores"
        )


class Gateway:
    """A gateway process with its defaults."""

    def __init__(self, rig: Rig) -> None:
        self.bootstrap = rig.bootstrap
        self.topic = rig.name("gateway")
        rig.topic(self.topic)
        self.log = rig.directory / f"{self.topic}.log"
        ports = {"TOCSIN_GATEWAY_PORT": "0", "TOCSIN_GATEWAY_HEALTH_PORT": "0", "TOCSIN_GATEWAY_LOG_FORMAT": "json"}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "gateway", "--bootstrap", rig.bootstrap],
                env={**environment(), **ports, "TOCSIN_GATEWAY_TOPIC": self.topic},
                stdout=out,
                stderr=out,
            )
        self.url = self.health_url = ""

    def found_broker(self) -> None:
        """Wait until it is ready. Raises RuntimeError, TimeoutError."""
        await_that(lambda: self._said("broker_there") is not None, "the gateway finds its broker")
        where = self._said("gateway_listens") or {}
        self.url, self.health_url = str(where["url"]), str(where["health"])

    def _said(self, event: str) -> dict[str, object] | None:
        """The line of its log with this event."""
        if self.process.poll() is not None:
            told = why(self.log.read_text(encoding="utf-8", errors="replace"))
            raise RuntimeError(f"the gateway ended with {self.process.returncode}; from its log:\n{told}")
        for line in self.log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{") and line.endswith("}") and f'"{event}"' in line:
                found: dict[str, object] = json.loads(line)
                return found
        return None

    def ready(self) -> bool:
        """What /readyz says."""
        try:
            with urllib.request.urlopen(f"{self.health_url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def peak_mb(self) -> float:
        """Its highest resident memory, where the system notes it; else that of now."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status")
        if status.exists():
            lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
            return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def records(self) -> int:
        """In its topic."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "bench-gateway"})
        try:
            ends = [
                consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=10) for p in range(PARTITIONS)
            ]
            return sum(high - low for low, high in ends)
        finally:
            consumer.close()


@contextlib.contextmanager
def gateway(rig: Rig) -> Iterator[Gateway]:
    """A gateway that has found the broker; drained at the end. Raises WrongOutcome where it does not end well."""
    process = Gateway(rig)
    try:
        process.found_broker()
        yield process
        process.process.send_signal(signal.SIGTERM)
        if process.process.wait(END_S):
            raise WrongOutcome(f"the gateway ended with {process.process.returncode}")
    finally:
        if process.process.poll() is None:
            process.process.kill()
        process.process.wait()


def run(rig: Rig, requests: int, against: attack.Order | None = None, **order: object) -> Run:
    """One load on a fresh gateway, in the middle of an attack if one is given. Raises WrongOutcome."""
    with gateway(rig) as process, contextlib.ExitStack() as stack:
        wanted = posting.Order(url=process.url, source=process.topic, requests=requests, **order)  # type: ignore[arg-type]
        poster = stack.enter_context(child("bench.posting", dataclasses.asdict(wanted)))
        attacker = None
        if against is not None:
            said = dataclasses.asdict(dataclasses.replace(against, url=process.url))
            attacker = stack.enter_context(child("bench.attack", said))
            attacker.go()
            time.sleep(1.0 if against.bombs_s else 2.0)  # the attack is whole before the load begins
        busy = process.cpu_s
        poster.go()
        posted = Posted(**poster.facts())
        cpu_us = (process.cpu_s - busy) / (requests * wanted.records) * 1e6
        if attacker is not None and against is not None:
            held_off(attack.Attacked(**attacker.stop()), against)
        return checked(Run(posted, cpu_us, process.peak_mb), wanted, process.records())


def checked(found: Run, wanted: posting.Order, records: int) -> Run:
    """The run. Raises WrongOutcome where not every record was stored once, or the clients were the limit."""
    asked, stored = wanted.requests * wanted.records, found.posted.stored
    if not asked == stored == records:
        raise WrongOutcome(
            f"{asked} batches posted, {stored} answered as stored, {records} in the topic: {found.posted.statuses}"
        )
    if found.posted.cores > BUSY:
        raise WrongOutcome(f"the clients were the limit: {found.posted.cores:.2f} cores busy")
    return found


def held_off(done: attack.Attacked, asked: attack.Order) -> None:
    """Raises WrongOutcome where the attack was none, or a bomb went in."""
    let_in = {status: count for status, count in done.statuses.items() if status not in ("400", "413", "503")}
    if let_in or (asked.bombs_s and not done.statuses):
        raise WrongOutcome(f"bombs were answered with {done.statuses}")
    if done.most_open < asked.slow:
        raise WrongOutcome(f"{done.most_open} slow connections were open at most, not {asked.slow}")


def without_broker(rig: Rig, seconds: float, say: Say) -> list[Figure]:
    """The broker is killed under load, stays away, and comes back."""
    requests = int(seconds * AWAY_RATE)
    with gateway(rig) as process:
        order = posting.Order(url=process.url, source=process.topic, requests=requests, rate=AWAY_RATE)
        before = dataclasses.replace(order, source=f"{process.topic}-before", requests=200)
        with child("bench.posting", dataclasses.asdict(before)) as poster:
            poster.go()
            stored = Posted(**poster.facts()).stored
        with child("bench.posting", dataclasses.asdict(order)) as poster:
            rig.broker.kill()
            try:
                await_that(lambda: not process.ready(), "the gateway says that the broker is away")
                poster.go()
                away = Posted(**poster.facts())
            finally:
                rig.broker.start()
        if away.stored or set(away.statuses) != {"503"}:
            raise WrongOutcome(f"without a broker the answers were {away.statuses}, {away.stored} stored")
        await_that(process.ready, "the gateway finds the broker again")
        if process.records() < stored:
            raise WrongOutcome(f"{stored} batches were acknowledged, the topic holds {process.records()}")
        peak = process.peak_mb
    told = f"{requests:,} requests in {seconds:.0f} s without a broker, each refused with 503"
    say(f"without a broker: p99 {away.p99_ms:.1f} ms, {peak:.0f} MB")
    return [
        Figure("gateway_away_p99_ms", "ms", (away.p99_ms,), "<= 250", told),
        Figure("gateway_away_peak_rss_mb", "MB", (peak,), f"<= {MEMORY_MB}", told),
    ]


def figures(rig: Rig, runs: int, load: Load, say: Say) -> list[Figure]:
    """All of them, from interleaved runs."""
    paced = int(RATE / BATCH * load.paced_s)
    found: dict[str, list[Run]] = {}

    def one(name: str, requests: int, against: attack.Order | None = None, **order: object) -> None:
        found.setdefault(name, []).append(run(rig, requests, against, **order))
        say(f"gateway, {name}: {found[name][-1].line()}")

    for _ in range(runs):
        one("closed loop", load.batches)
        one("as the client sends", load.batches // FOLDED_RECORDS, records=FOLDED_RECORDS, folded=True)
        one("paced", paced, rate=RATE / BATCH)
        one("slow connections", paced, attack.Order("", slow=SLOW), rate=RATE / BATCH)
        one("bombs", paced, attack.Order("", bombs_s=BOMBS_S), rate=RATE / BATCH)
    return [*drawn(found), *without_broker(rig, load.away_s, say)]


def drawn(found: dict[str, list[Run]]) -> list[Figure]:
    """Figures out of runs; ratios are of runs beside each other."""

    def p99(name: str) -> tuple[float, ...]:
        return tuple(each.posted.p99_ms for each in found[name])

    def rate(name: str) -> tuple[float, ...]:
        return tuple(each.posted.per_s for each in found[name])

    def peak(*names: str) -> tuple[float, ...]:
        return tuple(max(each.peak_mb for each in runs) for runs in zip(*(found[n] for n in names), strict=True))

    def middle(of: Sequence[float]) -> float:
        return statistics.median(of)

    closed, folded = found["closed loop"], found["as the client sends"]
    worst = tuple(
        max(pair) / alone for alone, *pair in zip(p99("paced"), p99("slow connections"), p99("bombs"), strict=True)
    )
    told = (
        f"one batch of {BATCH} a request, 8 connections, acks=all, default settings; "
        f"{middle([r.cpu_us for r in closed]):.0f} us of the gateway's processor time each, "
        f"clients {middle([r.posted.cores for r in closed]):.2f} cores"
    )
    library = (
        f"{FOLDED_RECORDS} batches a request, gzip, as the client library sends a backlog; "
        f"{middle([r.cpu_us for r in folded]):.0f} us each"
    )
    pace = f"paced at {RATE:,} measurements/s, one batch of {BATCH} a request; from when it was due"
    attacked = f"beside {SLOW:,} connections whose heads never end, or {BOMBS_S:.0f} bombs a second: the worse"
    return [
        Figure("gateway_measurements_per_s", "measurements/s", rate("closed loop"), ">= 400000", told),
        Figure("gateway_folded_measurements_per_s", "measurements/s", rate("as the client sends"), "", library),
        Figure("gateway_p99_ms", "ms", p99("paced"), "<= 250", pace),
        Figure("gateway_p99_slow_connections_ms", "ms", p99("slow connections"), "<= 250", pace),
        Figure("gateway_p99_bombs_ms", "ms", p99("bombs"), "<= 250", pace),
        Figure("gateway_p99_under_attack_ratio", "x", worst, "< 2", attacked),
        Figure(
            "gateway_peak_rss_mb", "MB", peak("closed loop", "as the client sends"), f"<= {MEMORY_MB}", "closed loops"
        ),
        Figure("gateway_attack_peak_rss_mb", "MB", peak("slow connections", "bombs"), f"<= {MEMORY_MB}", attacked),
    ]
