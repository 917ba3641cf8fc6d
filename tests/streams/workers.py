"""Tiny workers as processes: started, killed, stopped, waited for; and the truth about what they wrote."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.crash import VARIABLE
from tests.streams.broker import fill, make_topic, truth
from tests.streams.tiny import Facts

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 4
PATIENCE_S = 60.0


def wait_for(what: str, asked: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
    """Seconds until `asked` was so; fails after `patience_s`."""
    began = time.monotonic()
    while not asked():
        assert time.monotonic() - began < patience_s, f"{what}: not within {patience_s} s"
        time.sleep(0.1)
    return time.monotonic() - began


class Fleet:
    """Workers of one application on topics of their own; all are ended at the end."""

    def __init__(self, bootstrap: str, unique: Callable[[str], str], directory: Path, **facts: object) -> None:
        tag = unique("tiny")
        self.facts = Facts(bootstrap, tag, f"{tag}.in", f"{tag}.out", tag, PARTITIONS, **facts)  # type: ignore[arg-type]
        self.bootstrap, self.directory = bootstrap, directory
        make_topic(bootstrap, self.facts.topic, PARTITIONS)
        make_topic(bootstrap, self.facts.output, PARTITIONS)
        make_topic(bootstrap, f"tocsin.state.{tag}", PARTITIONS, **{"cleanup.policy": "compact"})
        self.workers: list[subprocess.Popen[bytes]] = []
        self.expected = {partition: [0, 0] for partition in range(PARTITIONS)}  # count, sum

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        if error is not None:
            print(self.log()[-6_000:])

    def start(self, crash: str = "", **changed: object) -> subprocess.Popen[bytes]:
        """Start a worker; `crash`: where it kills itself, as `streams.crash` has it."""
        facts = dataclasses.replace(self.facts, **changed)  # type: ignore[arg-type]
        with (self.directory / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/streams/tiny.py"), "worker"],
                env={
                    **os.environ,
                    "TINY": json.dumps(dataclasses.asdict(facts)),
                    VARIABLE: crash,
                    "PYTHONUNBUFFERED": "1",
                },
                stdout=log,
                stderr=log,
                cwd=self.directory,
            )
        self.workers.append(worker)
        return worker

    def log(self, index: int = -1) -> str:
        index = index if index >= 0 else len(self.workers) - 1
        return (self.directory / f"worker-{index}.log").read_text(errors="replace")

    def produce(self, first: int, count: int, **config: object) -> None:
        """The integers from `first` on, dealt out to the partitions."""
        fill(
            self.bootstrap,
            self.facts.topic,
            [(n % PARTITIONS, b"%d" % n) for n in range(first, first + count)],
            **config,
        )
        for n in range(first, first + count):
            self.expected[n % PARTITIONS][0] += 1
            self.expected[n % PARTITIONS][1] += n

    def truth(self) -> dict[int, list[int]]:
        """(count, sum) that the outputs say, by partition."""
        found = truth(self.bootstrap, self.facts.output, PARTITIONS)
        return {partition: [row["count"], row["sum"]] for partition, row in found.items()}

    def exact(self) -> bool:
        """Whether everything produced is counted, once."""
        expected = {partition: pair for partition, pair in self.expected.items() if pair[0]}
        found = self.truth()
        more = {p: (found[p], expected[p]) for p in found if p in expected and found[p][0] > expected[p][0]}
        assert not more, f"counted twice: {more}"
        return found == expected

    def ended(self, worker: subprocess.Popen[bytes], patience_s: float = PATIENCE_S) -> int:
        """Exit code of a worker that ends by itself."""
        return worker.wait(patience_s)

    def stop(self, worker: subprocess.Popen[bytes], patience_s: float = PATIENCE_S) -> int:
        """Tell a worker to stop; its exit code."""
        worker.send_signal(signal.SIGTERM)
        return worker.wait(patience_s)
