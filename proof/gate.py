"""Gate: the gateway beside the cluster, as an orchestrator runs it, and what its clients saw of it.

What: `tocsin gateway` as a process of its own, on ports that stay the same, started again whenever it ends; and a transport
that notes when each record was handed over and when its fate was known. Why: what a client was told is worth what is left
of it after kill -9, and a good client's wait can only be taken where it waits. It refuses the gateway's own word for either.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import os
import signal
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil
from tocsin import OnResult, Transport

from demo.workers import Workers
from gateway.crash import VARIABLE
from local.process import free_port

NAME = "gateway"
ANSWER_S = 0.5
KEPT = 100_000  # fates that a transport remembers


@dataclasses.dataclass(frozen=True, slots=True)
class Deadlines:
    """When a gateway lets go of a slow client, in seconds from its beginning: what it is told, and how long a body lasts."""

    head_s: float
    body_s: float
    request_s: float
    environment: Mapping[str, str]


#: As it comes: a body gets 408 after 20 s, and the rest of it two more.
LONG = Deadlines(10.0, 22.0, 45.0, {})
#: In a run of three minutes nobody waits for 45 s; Kafka's word must fit in.
SHORT = Deadlines(
    3.0, 6.0, 6.0,
    {"TOCSIN_GATEWAY_HEAD_S": "3", "TOCSIN_GATEWAY_REQUEST_S": "6", "TOCSIN_GATEWAY_DELIVERY_TIMEOUT_S": "3"},
)  # fmt: skip


class Gate:
    """The process. A context manager. `died`: its ends so far, when each was noticed, by the monotonic clock."""

    def __init__(self, bootstrap: str, directory: Path, deadlines: Deadlines) -> None:
        self.port, self.health = free_port(), free_port()
        self.deadlines = deadlines
        self.kills = 0  # from here
        self.died: list[float] = []
        self._points: list[str] = []
        self._own: Mapping[str, str] = {}
        own = {
            "TOCSIN_GATEWAY_PORT": str(self.port),
            "TOCSIN_GATEWAY_HEALTH_PORT": str(self.health),
            "TOCSIN_GATEWAY_ACCESS_LOG": "failures",
        }
        program = ("cli", "gateway", "--bootstrap", bootstrap)
        self._processes = Workers({**own, **deadlines.environment}, directory, program)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *unused: object) -> None:
        with contextlib.suppress(KeyError):
            self._processes.kill(NAME)

    def _start(self) -> None:
        self._processes.start(NAME, {**self._own, VARIABLE: self._points.pop(0) if self._points else ""})

    def dies_at(self, points: Sequence[str]) -> None:
        """Each of its next lives ends at one of these steps, in this order."""
        self._points = list(points)

    def again(self, own: Mapping[str, str]) -> None:
        """Told to end in good order; `tend` starts it again, with these settings from then on."""
        self._own = own
        os.kill(self._processes.pid(NAME), signal.SIGTERM)

    def ahead_s(self) -> float | None:
        """By how much the clock of its answers is ahead of ours, in seconds; None when it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/openapi.json", timeout=ANSWER_S) as answer:
                said = email.utils.parsedate_to_datetime(answer.headers["date"])
        except OSError:
            return None
        return said.timestamp() - time.time()

    def kill(self) -> None:
        """SIGKILL; `tend` starts it again."""
        self.kills += 1
        self._ended()

    def _ended(self) -> None:
        now = time.monotonic()
        self._processes.kill(NAME)
        self.died.append(now)

    def tend(self) -> None:
        """Start it when it does not run."""
        if NAME not in self._processes.names:
            with contextlib.suppress(KeyError):  # killed from here
                self._ended()
            self._start()

    def ready(self) -> bool:
        """Whether it says that it takes records."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/readyz", timeout=ANSWER_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def memory_mb(self) -> tuple[float, float]:
        """(resident now, and at most since it began)."""
        pid = self._processes.pid(NAME)
        return psutil.Process(pid).memory_info().rss / 1e6, peak_mb(pid)


def peak_mb(pid: int, afresh: bool = False) -> float:
    """The most that a process has had in memory since it began, or since that was asked `afresh`: then what it has now."""
    if afresh:
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024 / 1e6


class Timed:
    """A transport that notes how long the fate of each record took. Thread-safe."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._open: dict[int, float] = {}
        self._known: deque[tuple[float, float, bool]] = deque(maxlen=KEPT)  # handed over, seconds, whether it failed
        self._number = 0

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """Pass it on."""
        begun = time.monotonic()
        with self._lock:
            self._number += 1
            number = self._number
            self._open[number] = begun

        def settled(error: Exception | None) -> None:
            with self._lock:
                self._open.pop(number, None)
                self._known.append((begun, time.monotonic() - begun, error is not None))
            on_result(error)

        try:
            self.inner.send(key, value, settled)
        except Exception:
            with self._lock:
                del self._open[number]
            raise

    def flush(self, timeout: float) -> int:
        """As the real transport."""
        return self.inner.flush(timeout)

    def waits(self, since: float) -> tuple[list[float], int]:
        """(seconds that each record handed over since then took or has waited so far, how many of them failed)."""
        now = time.monotonic()
        with self._lock:
            known = [one for one in self._known if one[0] >= since]
            waiting = [now - begun for begun in self._open.values() if begun >= since]
        return [seconds for _, seconds, _ in known] + waiting, sum(failed for _, _, failed in known)

    def longest_s(self) -> float:
        """How long the one has waited that waits longest; 0 when nothing is on its way."""
        with self._lock:
            return time.monotonic() - min(self._open.values()) if self._open else 0.0
