"""The rig: a broker of its own, fresh topics, worker processes and their metrics.

Every run starts from empty derived topics and state; what is published stays. Refuses to measure a worker that ended.
"""

from __future__ import annotations

import contextlib
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
from prometheus_client.parser import text_string_to_metric_families

from local.kafka import EmbeddedBroker
from streams import topics

ROOT = pathlib.Path(__file__).parent.parent
PARTITIONS = 4
TIMEOUT_S = 180.0
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
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(every_s)


class Worker:
    """One worker process."""

    def __init__(self, bootstrap: str, name: str, log: pathlib.Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
        own = {
            "PYTHONPATH": path,
            "TOCSIN_BOOTSTRAP": bootstrap,
            "TOCSIN_APPLICATION": name,
            "TOCSIN_PARTITIONS": str(PARTITIONS),
            "TOCSIN_HEALTH_PORT": str(self.port),
            "TOCSIN_SLO_PATH": str(SLOS),
        }
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams", "worker"], env={**os.environ, **own, **settings}, stdout=out, stderr=out
            )

    def metrics(self) -> dict[str, float]:
        """Sums of the worker's metrics by 'name' and by 'name{label value}'; empty while it does not answer."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the worker ended with {self.process.returncode}; its log is {self.log}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return {}
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
                for value in sample.labels.values():
                    found[f"{sample.name}{{{value}}}"] = found.get(f"{sample.name}{{{value}}}", 0.0) + sample.value
        return found

    def accepted(self) -> float:
        """Measurements applied so far."""
        return self.metrics().get("tocsin_measurements_total{accepted}", 0.0)

    @property
    def rss_mb(self) -> float:
        """Resident memory."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.wait()


class Rig:
    """A broker with our topics."""

    def __init__(self, directory: pathlib.Path, broker: EmbeddedBroker) -> None:
        self.directory, self.broker, self.bootstrap = directory, broker, broker.bootstrap
        self._runs = 0

    def fresh(self, *, keep_telemetry: bool) -> None:
        """Empty topics; telemetry too unless it is kept."""
        admin = topics.admin(self.bootstrap)
        names = [t.name for t in topics.TOPICS if not (keep_telemetry and t.name == topics.TELEMETRY)]
        known = set(admin.list_topics(timeout=10).topics)
        for answer in admin.delete_topics([name for name in names if name in known]).values():
            answer.result(30)
        await_that(lambda: not set(names) & set(admin.list_topics(timeout=10).topics), "topics are deleted")
        topics.ensure(self.bootstrap, PARTITIONS)

    @contextlib.contextmanager
    def worker(self, application: str = "", **settings: str) -> Iterator[Worker]:
        """A worker that is killed at the end."""
        self._runs += 1
        name = application or f"bench-{self._runs}"
        worker = Worker(self.bootstrap, name, self.directory / f"worker-{self._runs}.log", settings)
        try:
            yield worker
        finally:
            worker.kill()


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """A rig in a folder of its own, taken down at the end."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        directory = pathlib.Path(folder)
        with EmbeddedBroker(directory / "kafka") as broker:
            yield Rig(directory, broker)
