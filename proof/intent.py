"""Intent: what is sent, written down before it is sent, by a generator outside the fault domain.

What: a journal (INTENT, flushed to the disk with fsync; then ACK, REJECTED or UNKNOWN), the transport that keeps it, and
a steady load through the real client. Why: what was never written down can't be missed. The client sends a batch again
under the same (source, boot, sequence) until its fate is definite, so at the end no UNKNOWN is left and equality is
exact. It refuses values that are not integers (the ledger does): only their sums compare exactly.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from aiokafka.partitioner import murmur2
from tocsin import Client, OnResult, Rejected, Transport
from tocsin.gateway import GatewayTransport
from tocsin.kafka import KafkaTransport

from demo.ledger import Cells, Ledger, LedgerTransport
from demo.wire import read_batch
from proof.gate import Timed

METRIC = "http.request"
BEHIND = "behind"  # what sources of the steady load behind the gateway are called
TICK_S = 0.05
BEAT_MS = 1_000
FLUSH_S = 0.1
SETTLE_S = 60.0
SOURCES = 2  # of the steady load, for each partition; and one more behind the gateway
FIVE_MS, HOUR_MS = 300_000, 3_600_000
BEFORE = range(0, 60_000, 1_000)  # of the last five minutes of the hour before: less than the late horizon
CATCH_UP_S = 0.5  # at most, until what lay in a spool is sent
STRAGGLERS = 50  # one of so many tells of a moment that is over: its ten seconds are closed, some of its minutes too
STRAGGLES_MS = (10_000, 25_000)  # by so much; with the longest outage it stays within the late horizon

Key = tuple[str, str, int]


class Books(NamedTuple):
    """What a journal says, by batch: (source, boot, sequence)."""

    intended: dict[Key, int]  # measurements
    acknowledged: set[Key]
    rejected: set[Key]

    @property
    def unknown(self) -> set[Key]:
        """Intended, and of no definite fate."""
        return self.intended.keys() - self.acknowledged - self.rejected


class Journal:
    """The file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._acknowledged: dict[str, float] = {}  # source -> when, by the monotonic clock
        self._longest_s: dict[str, float] = {}

    def write(self, word: str, key: Key, count: int, durable: bool = False) -> None:
        """One line; on the disk when it returns if `durable`."""
        with self._lock:
            self._file.write(f"{word}\t{key[0]}\t{key[1]}\t{key[2]}\t{count}\n")
            if durable:
                self._file.flush()
                os.fsync(self._file.fileno())
            if word == "ACK":
                self._took(key[0], time.monotonic())

    def _took(self, source: str, now: float) -> None:
        gap_s = now - self._acknowledged.get(source, now)
        self._acknowledged[source] = now
        self._longest_s[source] = max(gap_s, self._longest_s.get(source, 0.0))

    def gap_s(self, sources: Collection[str], afresh: bool = False) -> float:
        """The longest time in which nothing of one of these sources was acknowledged, since that was asked `afresh`."""
        with self._lock:
            if afresh:
                now = time.monotonic()
                self._acknowledged, self._longest_s = dict.fromkeys(self._acknowledged, now), {}
            return max((self._longest_s.get(source, 0.0) for source in sources), default=0.0)

    def sync(self) -> None:
        """All of it on the disk."""
        with self._lock:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """No more."""
        self.sync()
        self._file.close()


def read(path: Path) -> Books:
    """What was written, up to the last whole line."""
    books = Books({}, set(), set())
    for line in path.read_text("utf-8").split("\n")[:-1]:
        word, source, boot, sequence, count = line.split("\t")
        key = (source, boot, int(sequence))
        if word == "INTENT":
            books.intended[key] = int(count)
        elif word == "ACK":
            books.acknowledged.add(key)
        elif word == "REJECTED":
            books.rejected.add(key)
    return books


class JournalTransport:
    """A transport that writes down what it passes on to the real one, first."""

    def __init__(self, inner: Transport, journal: Journal) -> None:
        self.inner, self.journal = inner, journal
        self.kept: list[tuple[bytes, bytes]] = []  # what was sent last, to be sent again by whoever doubles on purpose

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """INTENT, then the send, then its fate."""
        batch = read_batch(value)
        of, count = (batch.source, batch.boot, batch.sequence), len(batch.series)
        self.journal.write("INTENT", of, count, durable=True)
        self.kept = [*self.kept[-99:], (key, value)]

        def settled(error: Exception | None) -> None:
            word = "ACK" if error is None else "REJECTED" if isinstance(error, Rejected) else "UNKNOWN"
            self.journal.write(word, of, count)
            on_result(error)

        self.inner.send(key, value, settled)

    def flush(self, timeout: float) -> int:
        """As the real transport."""
        return self.inner.flush(timeout)


def partition_of(source: str, partitions: int) -> int:
    """Where what a source sends lies: the default partitioner of Kafka's clients."""
    return int(murmur2(source.encode()) & 0x7FFFFFFF) % partitions


def sources_on(partition: int, partitions: int, name: str, count: int) -> list[str]:
    """The first so many sources `name-N` that send to a partition."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        source = f"{name}-{number}"
        number += 1
        if partition_of(source, partitions) == partition:
            found.append(source)
    return found


class Load:
    """Requests of a few services at a steady rate, all good, some of them told late, the same number of sources for each
    partition, some of them over HTTP; and bursts of bad ones on request, whose outcomes are kept: pages are expected of them, and of nobody else.
    `gateway`: its URL."""

    def __init__(self, bootstrap: str, journal: Path, seed: int, rate: int, partitions: int, gateway: str) -> None:
        self.ledger, self.told, self.rate = Ledger(outcomes=False), Ledger(), rate
        self.journal, self.bootstrap = Journal(journal), bootstrap
        self.made = 0  # measurements in batches that no client made
        self.raw = KafkaTransport(bootstrap, config={"message.timeout.ms": 5_000})
        self.noted = JournalTransport(self.raw, self.journal)
        self._random = random.Random(seed)
        self._clients: list[Client] = []
        self._gateway, self._spool = gateway, journal.parent / "spool"
        self._raw: list[GatewayTransport] = []
        self.behind: set[str] = set()  # sources over HTTP
        self.timed: list[Timed] = []  # of the sources behind the gateway
        self.direct: set[str] = set()  # sources of the steady load that send to Kafka themselves
        for partition in range(partitions):
            for source in sources_on(partition, partitions, "steady", SOURCES):
                self.client(source, source=source)
                self.direct.add(source)
            for source in sources_on(partition, partitions, BEHIND, 1):
                self.gated(source, source, FLUSH_S)
        self._steady = list(self._clients)
        self._running, self._ended = threading.Event(), threading.Event()
        self.ailing: set[Client] = set()  # services that fail on and on, a request each tick
        self.well: set[Client] = set()  # services that have recovered, and go on with a request each second
        self._beat_ms = 0
        self._thread = threading.Thread(target=self._run, name="proof-load", daemon=True)
        self._lock = threading.Lock()
        self.failure: Exception | None = None

    def client(self, service: str, source: str = "", flush_interval: float = FLUSH_S) -> Client:
        """A source of its own, whose requests never fail; what it sends is booked."""
        return self._client(self.ledger, service, source, flush_interval)

    def failing(self, service: str) -> Client:
        """A source of a service that may have to page."""
        return self._client(self.told, service, "", FLUSH_S)

    def framed(self, service: str, schema_id: int) -> Client:
        """A source whose records name their schema by its id in a registry."""
        return self._client(self.ledger, service, "", FLUSH_S, schema_id=schema_id)

    def far(self, bootstrap: str, service: str) -> Client:
        """A source whose way to the brokers is another."""
        raw = KafkaTransport(bootstrap, config={"message.timeout.ms": 5_000})
        return self._client(self.ledger, service, "", FLUSH_S, transport=JournalTransport(raw, self.journal))

    def gated(self, service: str, source: str, flush_interval: float) -> Client:
        """A source that sends over HTTP, and keeps on its disk what the gateway has not taken yet."""
        self.behind.add(source)
        return self._client(self.ledger, service, source, flush_interval, self._over_http(), spool=str(self._spool))

    def failing_gated(self, service: str) -> Client:
        """A source of a service that may have to page, over HTTP."""
        return self._client(self.told, service, "", FLUSH_S, self._over_http())

    def _over_http(self) -> Transport:
        raw = GatewayTransport(self._gateway)
        self._raw.append(raw)
        self.timed.append(Timed(raw))
        return JournalTransport(self.timed[-1], self.journal)

    def waits(self, since: float) -> tuple[list[float], int]:
        """Of all sources behind the gateway, as `Timed.waits`."""
        found = [timed.waits(since) for timed in self.timed]
        return [seconds for waits, _ in found for seconds in waits], sum(failed for _, failed in found)

    def longest_s(self) -> float:
        """How long one of them waits for its answer by now."""
        return max(timed.longest_s() for timed in self.timed)

    def _client(
        self,
        ledger: Ledger,
        service: str,
        source: str,
        flush_interval: float,
        transport: Transport | None = None,
        schema_id: int | None = None,
        spool: str = "",
    ) -> Client:
        made = Client(
            transport=LedgerTransport(transport or self.noted, ledger), kind="web", service=service, source=source or f"{service}-a",
            flush_interval=flush_interval, report=False, schema_id=schema_id, spool=spool, catch_up_jitter=CATCH_UP_S,
        )  # fmt: skip
        self._clients.append(made)
        return made

    def __enter__(self) -> Self:
        self._thread.start()
        self._running.set()
        return self

    def __exit__(self, *unused: object) -> None:
        self._ended.set()
        self._running.set()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """No more; what a client holds is sent first."""
        for client in self._clients:
            client.close(SETTLE_S)
        for raw in self._raw:
            raw.close()
        self.journal.close()

    def hour_before(self, now_ms: int) -> None:
        """A minute of requests out of the last five minutes of the hour before, of each steady source that needs no gateway,
        acknowledged: a run of any length then has five minutes and an hour that are over. To be sent before any worker
        reads: afterwards it would be too late. Raises TimeoutError."""
        begun_ms = now_ms // HOUR_MS * HOUR_MS - FIVE_MS
        mine = [client for client in self._steady if client.source in self.direct]
        for client in mine:
            for after_ms in BEFORE:
                value = float(self._random.randrange(1, 1000))
                client.outcome(METRIC).observe(good=True, value=value, time_ms=begun_ms + after_ms)
        if not all(client.flush(SETTLE_S) for client in mine) or self.unknown:
            raise TimeoutError(f"{self.unknown} measurements of unknown fate before anything began")

    def _run(self) -> None:
        done, since = 0, time.monotonic()
        try:
            while not self._ended.wait(TICK_S):
                if not self._running.is_set():
                    self._running.wait()
                    done, since = 0, time.monotonic()
                with self._lock:
                    due = int((time.monotonic() - since) * self.rate)
                    self._emit(due - done)
                    done = due
        except Exception as error:  # noqa: BLE001  # shown by whoever watches the run
            self.failure = error

    def _emit(self, count: int) -> None:
        now_ms = time.time_ns() // 1_000_000
        for _ in range(count):
            client = self._random.choice(self._steady)
            value = float(self._random.randrange(1, 1000))
            behind_ms = 0 if self._random.randrange(STRAGGLERS) else self._random.randint(*STRAGGLES_MS)
            client.outcome(METRIC).observe(good=True, value=value, time_ms=now_ms - behind_ms)
        for client in tuple(self.ailing):
            client.outcome(METRIC).observe(good=False, value=1.0, time_ms=now_ms)
        if now_ms >= self._beat_ms:
            self._beat_ms = now_ms + BEAT_MS
            for client in tuple(self.well):
                client.outcome(METRIC).observe(good=True, value=1.0, time_ms=now_ms)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sent, and the fate of all that was is known. Raises TimeoutError."""
        self._running.clear()
        with self._lock:
            pass
        try:
            deadline = time.monotonic() + SETTLE_S
            while not all(client.flush(1.0) for client in self._clients) or self.unknown:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.unknown} measurements of unknown fate after {SETTLE_S:.0f} s")
            yield
        finally:
            self._running.set()

    @property
    def unknown(self) -> int:
        """Measurements whose fate is not known."""
        return self.ledger.unknown + self.told.unknown

    @property
    def sent_again(self) -> int:
        """Batches that were sent once more, as their fate was not known."""
        return self.ledger.retried + self.told.retried

    @property
    def acknowledged(self) -> int:
        """Measurements, all kinds."""
        return sum(sum(ledger.published.values()) for ledger in (self.ledger, self.told))

    @property
    def accepted(self) -> int:
        """Measurements that a client took in, or that were made elsewhere, which is a promise: each must be acknowledged once
        nothing is on its way."""
        return self.made + sum(client.stats.recorded for client in self._clients)

    @property
    def given_up(self) -> int:
        """Measurements that were asked for and never sent: a client whose buffer was full refuses them, and says so."""
        return sum(sum(client.stats.refused.values()) for client in self._clients)

    def truth(self) -> Cells:
        """What was acknowledged, so far, by series and window."""
        return self.ledger.snapshot() | self.told.snapshot()  # no service is in both


def burst(client: Client, good: int, bad: int) -> None:
    """So many good and bad requests of one service, now."""
    now_ms = time.time_ns() // 1_000_000
    requests = client.outcome(METRIC)
    for number in range(good):
        requests.observe(good=True, value=float(number), time_ms=now_ms)
    for number in range(bad):
        requests.observe(good=False, value=float(number), time_ms=now_ms + 1)
