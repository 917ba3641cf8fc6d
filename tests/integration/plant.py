"""Plant: a broker, workers as processes, the far ends of channels and a reader of every topic, for the tests of the whole.

What: `plant(directory)` starts them and stops them, last first; `Tap` awaits a record, `until` anything else. Nothing
here sleeps for a fixed time: each wait names what it waits for and fails with the worker's log.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tocsin import Client, Transport

from demo.audit import TOPICS, Audit, TopicReader
from demo.ledger import Cells
from demo.pager import Pager, stand_ins
from demo.workers import ROOT, Workers
from local.kafka import EmbeddedBroker
from local.process import free_port, tail
from schemas import codec
from schemas.corrupt import CorruptRecord
from sinks.fakes.receiver import Arrival
from streams import topics

PARTITIONS = 2
PATIENCE_S = 60.0
POLL_S = 0.05
WORKER = "worker"
READ = (
    topics.ROLLUPS,
    topics.SLO_STATUS,
    topics.ALERTS,
    topics.INCIDENTS,
    topics.NOTIFICATIONS,
    topics.LATE,
    topics.DLQ,
)

T = TypeVar("T")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Entry(NamedTuple):
    """A record as it was read; `record` None where the codec refuses it."""

    topic: str
    partition: int
    value: bytes
    record: Any


class Tap:
    """Everything that the topics hold, from their beginning, as it comes."""

    def __init__(self, bootstrap: str) -> None:
        self.entries: list[Entry] = []
        self._reader = TopicReader(bootstrap, list(READ), from_beginning=True)

    def poll(self) -> list[Entry]:
        """What is new."""
        new = []
        for topic, partition, _, value in self._reader.poll(500, POLL_S):
            try:
                record = codec.decode(value)
            except CorruptRecord:
                record = None
            new.append(Entry(topic, partition, value, record))
        self.entries += new
        return new

    def of(self, topic: str) -> list[Entry]:
        """What was read of a topic."""
        return [entry for entry in self.entries if entry.topic == topic]

    def close(self) -> None:
        self._reader.close()


class Seen:
    """What came out, by series and window, as the demo's audit reads it."""

    def __init__(self, tap: Tap) -> None:
        self.audit = Audit()
        self._tap, self._read = tap, 0

    def cells(self) -> Cells:
        """By now."""
        for entry in self._tap.entries[self._read :]:
            if entry.topic in TOPICS:
                self.audit.read(entry.topic, entry.value)
        self._read = len(self._tap.entries)
        return self.audit.found()


class Finished(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Plant:
    """What runs, and how to talk to it."""

    def __init__(self, directory: Path, bootstrap: str, pager: Pager, environment: dict[str, str]) -> None:
        self.directory, self.bootstrap, self.pager = directory, bootstrap, pager
        self.health_port = free_port()
        self.environment = {
            "TOCSIN_BOOTSTRAP": bootstrap,
            "TOCSIN_PARTITIONS": str(PARTITIONS),
            "TOCSIN_SLO_PATH": str(ROOT / "examples" / "slos"),
            "TOCSIN_FINGERPRINT": "true",
            "TOCSIN_SESSION_TIMEOUT_S": "3",
            "TOCSIN_HEARTBEAT_S": "0.5",
            **pager.environment,
            **environment,
        }
        self.workers = Workers({**self.environment, "TOCSIN_HEALTH_PORT": str(self.health_port)}, directory)
        self.tap = Tap(bootstrap)
        self.beginning: list[tuple[int, int, int]] = []  # statuses of livez, startupz, readyz until it was ready
        self._clients: list[Client] = []

    def start(self) -> None:
        """Start the worker, and wait until it says that it is ready; its answers until then are kept."""
        self.workers.start(WORKER)
        self.beginning = []

        def ready() -> bool:
            self.workers.check()
            asked = tuple(self.ask(f"/{name}")[0] for name in ("livez", "startupz", "readyz"))
            if 0 not in asked:
                self.beginning.append((asked[0], asked[1], asked[2]))
            return asked[2] == 200

        self.until("a worker that is ready", ready)

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of the worker's health server; status 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> dict[str, float]:
        """The values of a metric by its labels, as they stand in the exposition."""
        rows = [line.rpartition(" ") for line in self.ask("/metrics")[1].splitlines() if not line.startswith("#")]
        return {series[len(name) :]: float(value) for series, _, value in rows if series.partition("{")[0] == name}

    def client(self, service: str, transport: Transport | str | None = None, schema_id: int | None = None) -> Client:
        """A client of its own source; it sends when it is flushed."""
        made = Client(
            transport=transport or f"kafka://{self.bootstrap}",
            kind="web",
            service=service,
            source=f"{service}-1",
            flush_interval=60.0,
            schema_id=schema_id,
        )
        self._clients.append(made)
        return made

    def until(self, what: str, asked: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
        """The first answer that is not empty. Fails after `patience_s`, with the end of the worker's log."""
        deadline = time.monotonic() + patience_s
        while not (found := asked()):
            logs = sorted(self.directory.glob("*.log"))
            assert time.monotonic() < deadline, f"{what}: not within {patience_s:.0f} s; {logs[-1]}: {tail(logs[-1])}"
            self.tap.poll()
        return found

    def record(self, what: str, kind: type[T], fits: Callable[[T], bool]) -> Entry:
        """The first record of that kind that fits, as soon as it is there."""

        def found() -> Entry | None:
            hits = (e for e in self.tap.entries if isinstance(e.record, kind) and fits(e.record))
            return next(hits, None)

        return self.until(what, found)

    def called(self, what: str, fits: Callable[[dict[str, Any]], bool], *, webhook: bool = False) -> Arrival:
        """The first request that the pager (or the webhook) took and that fits."""
        receiver = self.pager.webhook if webhook else self.pager.pagerduty
        return self.until(what, lambda: next((a for a in receiver.log() if a.taken and fits(a.fields)), None))

    def tocsin(self, *arguments: str, **environment: str) -> Finished:
        """Run the command line as a process, configured as the worker is."""
        paths = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200", **self.environment, **environment},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def stop(self) -> None:
        for client in self._clients:
            client.close(5)
        self.tap.close()
        self.workers.stop()


@contextlib.contextmanager
def plant(directory: Path, **environment: str) -> Iterator[Plant]:
    """Broker, topics, pager, worker; stopped in reverse."""
    with EmbeddedBroker(directory / "kafka") as broker, stand_ins(directory) as pager:
        topics.ensure(broker.bootstrap, PARTITIONS)
        made = Plant(directory, broker.bootstrap, pager, environment)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def rows_of(text: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]
