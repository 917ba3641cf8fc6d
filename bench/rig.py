"""The rig: a broker of its own, fresh topics, worker processes and their metrics.

What: one embedded broker for a whole suite, topics made anew for each run, `python -m streams worker` as the process
under test, watched from outside through its own /metrics. Why: what an operator runs is what is measured. It refuses
to measure a worker that ended, and to end a process that it did not start.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping

import psutil
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # a re-export that is not declared
from prometheus_client.parser import text_string_to_metric_families

from bench.workloads import PARTITIONS
from local.kafka import EmbeddedBroker
from streams import topics

ROOT = pathlib.Path(__file__).parent.parent
TIMEOUT_S = 180.0
ANSWER_S = 5.0
LAST_LINES = 60
SLOS = ROOT / "bench" / "slos.yaml"


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_that(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S, every_s: float = 0.05) -> None:
    """Wait until the condition holds. Raises TimeoutError that names it."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(every_s)


def environment() -> dict[str, str]:
    """Of a child process of ours: what this one has, and where the rooms are."""
    path = [str(ROOT), str(ROOT / "client" / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


class Metrics(dict[str, float]):
    """One look at a worker's metrics: sums by 'name', by 'name{value}' of any label, and by 'name{label=value,...}' of all
    labels in order of their names; absent is 0."""

    def __missing__(self, key: str) -> float:
        return 0.0

    @classmethod
    def parse(cls, text: str) -> Metrics:
        """From Prometheus' text form."""
        found = cls()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                everything = ",".join(f"{label}={value}" for label, value in sorted(sample.labels.items()))
                for name in {sample.name, *(f"{sample.name}{{{at}}}" for at in (*sample.labels.values(), everything))}:
                    found[name] += sample.value
        return found


def why(log: str) -> str:
    """What a log says about an end: from its first traceback or critical line on, without the noise of stopping."""
    lines = [line for line in log.splitlines() if "Stopping..." not in line and "woke up too late" not in line]
    marks = ("Traceback", "[critical", "[error", "worker_ends")
    first = next((place for place, line in enumerate(lines) if any(mark in line for mark in marks)), -LAST_LINES)
    return "\n".join(lines[first:][:LAST_LINES])


class Worker:
    """One worker process. `module`: what Python runs; one that takes our settings and serves our metrics."""

    def __init__(
        self,
        bootstrap: str,
        application: str,
        log: pathlib.Path,
        settings: Mapping[str, str],
        module: str = "streams",
    ) -> None:
        self.port = free_port()
        own = {
            "TOCSIN_BOOTSTRAP": bootstrap,
            "TOCSIN_APPLICATION": application,
            "TOCSIN_PARTITIONS": str(PARTITIONS),
            "TOCSIN_HEALTH_PORT": str(self.port),
            "TOCSIN_SLO_PATH": str(SLOS),
        }
        self.log = log
        self.peak_mb = 0.0
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "worker"],
                env={**environment(), **own, **settings},
                stdout=out,
                stderr=out,
            )

    def _get(self, path: str) -> str:
        """An answer of its health server; empty while there is none. Raises RuntimeError when the worker ended."""
        if self.process.poll() is not None:
            told = why(self.log.read_text(encoding="utf-8", errors="replace"))
            raise RuntimeError(f"the worker ended with {self.process.returncode}; from its log:\n{told}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=ANSWER_S) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    def metrics(self) -> Metrics:
        """Its metrics now; empty while it does not answer. Notes the highest resident memory seen on the way."""
        self.peak_mb = max(self.peak_mb, self.rss_mb)
        return Metrics.parse(self._get("/metrics"))

    def ready(self) -> bool:
        """Whether everything assigned is restored and near its end, and something is assigned."""
        text = self._get("/readyz")
        return bool(text) and bool(json.loads(text)["lag"])

    def partitions(self, stage: str) -> set[int]:
        """The partitions of a stage that it holds."""
        found = self.metrics()
        return {p for p in range(PARTITIONS) if f"tocsin_lag_records{{partition={p},stage={stage}}}" in found}

    @property
    def rss_mb(self) -> float:
        """Resident memory, MB; 0 for a process that has ended."""
        try:
            return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6
        except psutil.NoSuchProcess:
            return 0.0

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used, s, all threads."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.wait()


class Rig:
    """A broker with our topics."""

    def __init__(self, directory: pathlib.Path, broker: EmbeddedBroker) -> None:
        self.directory, self.broker, self.bootstrap = directory, broker, broker.bootstrap
        self._runs = 0

    @property
    def broker_pid(self) -> int:
        """Of the broker's process."""
        return self.broker.pid

    def fresh(self, *, keep_telemetry: bool) -> None:
        """Empty topics; telemetry too unless it is kept."""
        admin = topics.admin(self.bootstrap)
        known = set(admin.list_topics(timeout=10).topics)
        gone = [t.name for t in topics.TOPICS if not (keep_telemetry and t.name == topics.TELEMETRY)]
        gone = [name for name in gone if name in known]
        if gone:
            for answer in admin.delete_topics(gone).values():
                answer.result(30)
            await_that(lambda: not set(gone) & set(admin.list_topics(timeout=10).topics), "topics are deleted")
        topics.ensure(self.bootstrap, PARTITIONS)

    def topic(self, name: str) -> None:
        """One more topic, with as many partitions as ours."""
        new = NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)
        client = topics.admin(self.bootstrap)  # must outlive the answer
        client.create_topics([new])[name].result(30)

    def name(self, what: str) -> str:
        """A name that no run of this rig has had."""
        self._runs += 1
        return f"bench-{what}-{self._runs}"

    @contextlib.contextmanager
    def worker(self, application: str = "", settings: Mapping[str, str] | None = None) -> Iterator[Worker]:
        """A worker that is killed at the end. `application`: the group that it joins; empty: one of its own."""
        name = self.name("worker")
        worker = Worker(self.bootstrap, application or name, self.directory / f"{name}.log", settings or {})
        try:
            yield worker
        finally:
            worker.kill()


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """A rig in a folder of its own, taken down at the end."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-", ignore_cleanup_errors=True) as folder:
        directory = pathlib.Path(folder)
        with EmbeddedBroker(directory / "kafka") as broker:
            yield Rig(directory, broker)
