"""A peer's process: how it is started, what it tells, and what its process tree costs.

What: a command in the environment that has the peer's packages, progress from the lines of JSON that it prints, and the
processor time and resident memory of it and its children. Why a tree: some engines start processes of their own. Ours is
watched in the same way. It refuses to invent an environment: one that is absent is named with the command that makes it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import psutil

from bench.results import PEERS_PYTHON
from bench.rig import Rig, environment, why
from bench.workloads import PARTITIONS
from streams import topics

MAKE = "make peers"

Sample = tuple[float, float]  # (seconds, events done)


class PeerEnded(RuntimeError):
    """A peer's process ended by itself."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """One engine beside ours. `command`: arguments of Python, with {state} for a folder of the run's own."""

    name: str
    command: tuple[str, ...]
    own_environment: bool = False
    rounds: bool = False  # it tells unfinished windows in rounds, not final ones
    program: str = ""  # instead of Python

    @property
    def python(self) -> str:
        """The interpreter that has its packages, or its own program."""
        if self.program:
            return self.program
        return str(PEERS_PYTHON) if self.own_environment else sys.executable

    @property
    def missing(self) -> str:
        """What to do before it can run; empty when it can."""
        return f"{self.name} is not installed: {MAKE}" if not pathlib.Path(self.python).exists() else ""


FAUST = Peer("faust", ("-m", "bench.peers.plain_faust", "worker", "-l", "error", "--without-web"), rounds=True)
QUIX = Peer("quix", ("-m", "bench.peers.quix"), own_environment=True)
BYTEWAX = Peer(
    "bytewax",
    ("-m", "bytewax.run", "bench.peers.bytewax_flow", "-r", "{state}", "-s", "5", "-b", "0"),
    own_environment=True,
)
CONSUMER = Peer("consumer", ("-m", "bench.peers.plain_consumer"))


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of a process tree, since its begin: processor seconds, and resident memory now."""

    cpu_s: float
    rss_mb: float


def tree_cost(pid: int) -> Cost:
    """Of a process and its children. One that has ended counts for nothing."""
    cpu, rss = 0.0, 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                cpu, rss = cpu + times.user + times.system, rss + process.memory_info().rss
    return Cost(cpu, rss / 1e6)


class Running:
    """A started peer."""

    def __init__(self, peer: Peer, process: subprocess.Popen[bytes], log: pathlib.Path, results: str) -> None:
        self.peer, self.results, self._process, self._log = peer, results, process, log
        self.told: list[tuple[float, dict[str, object]]] = []  # (when, what), in order

    def read(self) -> None:
        """Take in its lines until it ends; for a thread."""
        if self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith(b"{"):
                    self.told.append((time.perf_counter(), json.loads(line)))

    @property
    def last(self) -> dict[str, object]:
        """What it told last. Raises PeerEnded."""
        if self._process.poll() is not None:
            raise PeerEnded(f"{self.peer.name} ended:\n{why(self._log.read_text(encoding='utf-8', errors='replace'))}")
        return self.told[-1][1] if self.told else {}

    @property
    def done(self) -> float:
        """Events done so far. Raises PeerEnded."""
        return float(str(self.last.get("done", 0)))

    def samples(self) -> list[Sample]:
        """Its counter over time."""
        return [(at, float(str(facts["done"]))) for at, facts in list(self.told)]

    def stop(self) -> None:
        """SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.wait()

    def cost(self) -> Cost:
        """Of its process tree."""
        return tree_cost(self._process.pid)


def prepare(command: Sequence[str], state: pathlib.Path) -> list[str]:
    """The command with its folder."""
    return [word.format(state=state) for word in command]


@contextlib.contextmanager
def running(rig: Rig, peer: Peer, settings: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A peer on the telemetry topic, alone in its group, with a results topic of its own; killed at the end."""
    group = rig.name(peer.name)
    rig.topic(results_of(group))
    with joined(rig, peer, group, settings) as run:
        yield run


def results_of(group: str) -> str:
    """The results topic of a group."""
    return f"{group}-results"


@contextlib.contextmanager
def joined(rig: Rig, peer: Peer, group: str, settings: Mapping[str, str] | None = None) -> Iterator[Running]:
    """One process of a peer's group; killed at the end."""
    results = results_of(group)
    name = rig.name(group)
    state = rig.directory / name
    state.mkdir()
    command = [peer.python, *prepare(peer.command, state)]
    own = {
        "BENCH_BOOTSTRAP": rig.bootstrap,
        "BENCH_TOPIC": topics.TELEMETRY,
        "BENCH_RESULTS": results,
        "BENCH_GROUP": group,
        "BENCH_PARTITIONS": str(PARTITIONS),
        "BENCH_STATE": str(state),
        "PYTHONUNBUFFERED": "1",
    }
    if peer is BYTEWAX:
        done = [peer.python, "-m", "bytewax.recovery", str(state), "1"]
        subprocess.run(done, env=environment() | own, check=True, capture_output=True)
    log = rig.directory / f"{name}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            env=environment() | own | dict(settings or {}),
            cwd=state,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    run = Running(peer, process, log, results)
    threading.Thread(target=run.read, daemon=True).start()
    try:
        yield run
    finally:
        run.stop()
