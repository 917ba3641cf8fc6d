"""Throughput: how fast one worker takes what is already in the log, full path, durable state on.

The rate is that of the middle of the run: from the first sample after `warm` of the load to the first after `until`, so
that start-up and the tail are left out. The same rule holds for the peer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from bench.rig import PARTITIONS, ROOT, Rig, await_that
from bench.workloads import Load
from streams import topics

WARM, UNTIL = 0.3, 0.97
SAMPLE_S = 0.1
FAUST_SECONDS = 25.0


def middle_rate(done: Callable[[], float], total: int, timeout_s: float = 300.0) -> float:
    """Events a second between `WARM` and `UNTIL` of the load."""
    samples: list[tuple[float, float]] = []

    def enough() -> bool:
        samples.append((time.perf_counter(), done()))
        return samples[-1][1] >= total * UNTIL

    await_that(enough, f"{total * UNTIL:.0f} measurements applied", timeout_s, SAMPLE_S)
    first = next(sample for sample in samples if sample[1] >= total * WARM)
    last = samples[-1]
    if last[1] == first[1]:  # one step took it all: count it from the sample before
        first = samples[max(0, samples.index(first) - 1)]
    return (last[1] - first[1]) / (last[0] - first[0])


def tocsin_rate(rig: Rig, load: Load) -> tuple[float, float]:
    """(measurements a second, resident MB at the end) of one worker on what is published."""
    rig.fresh(keep_telemetry=True)
    with rig.worker() as worker:
        rate = middle_rate(worker.accepted, load.measurements)
        await_that(lambda: worker.accepted() >= load.measurements, "all measurements applied")
        return rate, worker.rss_mb


def faust_rate(rig: Rig, run: int) -> float:
    """Events a second of plain Faust on the same topic, over a bounded time: its rate does not depend on the total."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BENCH_BOOTSTRAP": rig.bootstrap,
        "BENCH_TOPIC": topics.TELEMETRY,
        "BENCH_PARTITIONS": str(PARTITIONS),
        "BENCH_GROUP": f"plain-faust-{run}",
    }
    command = [sys.executable, "-m", "bench.peers.plain_faust", "worker", "-l", "error"]
    process = subprocess.Popen(command, env=env, cwd=rig.directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    samples: list[tuple[float, int]] = []

    def read() -> None:
        for line in process.stdout or ():
            if line.startswith(b"{"):
                samples.append((time.perf_counter(), json.loads(line)["done"]))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        await_that(lambda: any(done for _, done in samples), "plain Faust begins", 120)
        begun = time.perf_counter()
        await_that(lambda: time.perf_counter() - begun > FAUST_SECONDS, "time is up", FAUST_SECONDS + 10)
    finally:
        process.kill()
        process.wait()
    busy = [sample for sample in samples if sample[1]]
    return (busy[-1][1] - busy[0][1]) / (busy[-1][0] - busy[0][0])
