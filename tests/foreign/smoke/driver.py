"""The driver as a process: Kafka's own SmokeTestDriver, compiled beside its jar, asked to verify.

What: starts driver/Drive.java on the jars of `KAFKA`, reads what it prints, asks for verdicts. A verdict of "refused" takes
the driver 31 polls of five seconds in which nothing comes; `hurried` ends such polls early, by transactions that are
aborted: its consumer reads past them and finds nothing. What it checks is untouched. It refuses a verdict without reasons.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator

from confluent_kafka import Producer

from bench import jvm
from bench.rig import await_that

KAFKA = "4.1.0"  # the newest whose test jar is on Maven Central beside it
TESTS = (f"kafka-streams-{KAFKA}-test", "one", f"org.apache.kafka:kafka-streams:{KAFKA}:jar:test")
STREAMS = (f"kafka-streams-{KAFKA}", "tree", f"org.apache.kafka:kafka-streams:{KAFKA}")
SOURCES = pathlib.Path(__file__).parent / "driver"
HEAP_MB = 256
VERDICT_S = 240.0
GENERATED, PASSED, REFUSED = "DRIVER generated", "DRIVER passed", "DRIVER refused"
HURRY_TOPIC = "sws-raw"
HURRY_S = 0.1


class DriverEnded(RuntimeError):
    """The driver's process ended by itself."""


class Driver:
    """The running driver."""

    def __init__(self, process: subprocess.Popen[str], bootstrap: str) -> None:
        self._process, self._bootstrap = process, bootstrap
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))

    def end(self) -> None:
        """SIGKILL, and wait until all that it said is read."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _said(self, *words: str, since: int = 0) -> bool:
        if self._process.poll() is not None:
            raise DriverEnded("\n".join(self.lines[-30:]))
        return any(line in words for line in self.lines[since:])

    @property
    def generated(self) -> bool:
        """Whether all data is acknowledged. Raises DriverEnded."""
        return self._said(GENERATED)

    def verdict(self, *, hurried: bool = False) -> tuple[bool, list[str]]:
        """(whether it passed, what the driver printed meanwhile). Raises DriverEnded and TimeoutError."""
        since = len(self.lines)
        self._process.stdin.write("verify\n")
        self._process.stdin.flush()
        with self._hurry() if hurried else contextlib.nullcontext():
            await_that(lambda: self._said(PASSED, REFUSED, since=since), "the driver's verdict", VERDICT_S)
        told = self.lines[since:]
        return PASSED in told, told

    @contextlib.contextmanager
    def _hurry(self) -> Iterator[None]:
        over = threading.Event()

        def abort() -> None:
            producer = Producer({"bootstrap.servers": self._bootstrap, "transactional.id": f"hurry-{time.time_ns()}"})
            producer.init_transactions(30)
            while not over.wait(HURRY_S):
                producer.begin_transaction()
                producer.produce(HURRY_TOPIC, b"", b"", partition=0)
                producer.flush(10)
                producer.abort_transaction(10)

        thread = threading.Thread(target=abort, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextlib.contextmanager
def driver(bootstrap: str, keys: int, records: int, seconds: int) -> Iterator[Driver]:
    """It generates at once; killed at the end. `records`: of each key, spread over so many seconds."""
    with tempfile.TemporaryDirectory(prefix="tocsin-classes-") as folder:
        path = jvm.compiled([SOURCES], (TESTS, STREAMS, jvm.LOGGING), pathlib.Path(folder))
        command = jvm.command(path, HEAP_MB, "Drive", bootstrap, str(keys), str(records), str(seconds))
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        driver = Driver(process, bootstrap)
        try:
            yield driver
        finally:
            driver.end()
