"""Scarcity: what a worker or a broker runs out of: files, memory, processor, disk.

What: one function an action, by limits that the system itself enforces. Why: a machine that is full answers in its own
ways, and they are not a death. It refuses a limit that nobody felt: a line in the worker's log that says so, or its own
end, must be there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from proof import payloads
from proof.booked import book
from proof.faults import WORKERS, Step
from proof.field import PARTITIONS, NotInTime
from proof.harm import Harm, Unexpected
from proof.intent import sources_on
from proof.way import Way
from streams import topics

FILES = 3  # numbers of files from this one on may not be used: what is open stays open
BULK = 40  # batches that make a worker ask for memory, with 4,096 measurements each
FELT = {"files": ("Too many open files", "Errno 24"), "memory": ("MemoryError", "Cannot allocate memory")}
AGAIN_S, FELT_MAX_S = 3.0, 30.0  # after which it is done once more; until it must be felt
SUSPENDED_S = 0.2
FULL_BYTES = 4_096  # no file may grow beyond


class Scarcity(Harm):
    """Faults of machines."""

    def _do_starve(self, step: Step) -> int:
        """A worker that may open no more files or connections, has no more memory, or gets a fifth of a processor."""
        name, _, what = step.target.partition("=")
        {"files": self._no_files, "memory": self._no_memory, "processor": self._slowed}[what](name, step.seconds)
        return 1

    def _no_files(self, name: str, seconds: float) -> None:
        """Its connections break, and it may open no others."""
        self._restarted(name, {"TOCSIN_BOOTSTRAP": self.field.detour.bootstrap})
        self._limited(name, psutil.RLIMIT_NOFILE, FILES, "files", self.field.detour.break_off, seconds)

    def _no_memory(self, name: str, seconds: float) -> None:
        """It may take no more than it has, and is sent so much at once that it needs more. All of that is in the books.

        It begins anew: one that had a backlog once has room of its own for the next."""
        field, partitions = self.field, set[int]()

        def aggregates() -> bool:
            partitions.update(self._aggregated(name))
            return bool(partitions)

        self._restarted(name, {})
        field.until(f"something for {name} to aggregate", aggregates)
        (source,) = sources_on(min(partitions), PARTITIONS, self._boot(), 1)

        def much() -> None:
            found = payloads.bulk(source, self._boot(), time.time_ns() // 1_000_000, BULK)
            book(field.load, source.encode(), list(found))

        self._limited(name, psutil.RLIMIT_DATA, data_bytes(field.workers.pid(name)), "memory", much, seconds)

    def _aggregated(self, name: str) -> set[int]:
        return {partition for stage, partition in self.field.held(name) if stage == "aggregate"}

    def _limited(self, name: str, kind: int, limit: int, what: str, cause: Callable[[], None], seconds: float) -> None:
        """Under that limit for so long, from when it was felt on. `cause`: what makes the worker feel it."""
        field, held, since = self.field, self._victim(name), time.monotonic()
        process, ends = psutil.Process(field.workers.pid(name)), len(field.ends)
        before, words = process.rlimit(kind), FELT[what]
        said, ends_at = field.says(name, words), since + FELT_MAX_S

        def felt() -> bool:
            return field.says(name, words) > said or len(field.ends) > ends

        process.rlimit(kind, (limit, before[1]))
        way = Way(field, since, held)
        try:
            while not felt():
                if time.monotonic() > ends_at:
                    raise Unexpected(f"{Unexpected.__doc__}: {name} may have no more {what}, and feels nothing of it")
                cause()
                with contextlib.suppress(NotInTime):
                    field.until("a worker that says so, or ends", felt, AGAIN_S)
            self._meanwhile(seconds, way)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended itself, which is as good
                process.rlimit(kind, before)
        self._arrive(way)

    def _slowed(self, name: str, seconds: float) -> None:
        """It stands still four fifths of the time: what is sent to it then waits."""
        field = self.field
        self._victim(name)
        process, ends = psutil.Process(field.workers.pid(name)), time.monotonic() + seconds
        while time.monotonic() < ends:
            others = set[int]().union(*(self._aggregated(other) for other in set(WORKERS) - {name}))
            held = self._aggregated(name) - others  # what just changes hands is nobody's
            process.suspend()
            way = Way(field, held=held)
            self._meanwhile(SUSPENDED_S, way)
            process.resume()
            if way.recovered_s:
                raise Unexpected(f"{Unexpected.__doc__}: {name} took in what was sent while it stood still")
            field.during(SUSPENDED_S / 4)
        self._recover()

    def _do_full_disk(self, step: Step) -> int:
        """A broker that can write no byte more, until it gives up; then it is started again with room."""
        cluster = self.field.cluster
        node, since = cluster.leader(topics.TELEMETRY, int(step.target)), time.monotonic()
        psutil.Process(cluster.nodes[node].pid).rlimit(psutil.RLIMIT_FSIZE, (FULL_BYTES, FULL_BYTES))
        way = Way(self.field, since, range(PARTITIONS))
        self.field.until(f"the end of broker {node}", lambda: node not in cluster.running)
        self._arrive(way)
        cluster.start(node)
        self.field.until("all copies in sync", cluster.healed)
        return 1


def data_bytes(pid: int) -> int:
    """What a process has by now of the memory that a limit on data counts."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmData:")).split()[1]) * 1024
