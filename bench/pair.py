"""Pair: two workers of one group against one, on the same topic, and where the time goes.

What: the rate of both together from when both hold partitions, beside one worker's on the same load; with it the cores
that workers, broker and the rest of the machine kept busy meanwhile. Why: a second process can only help where there are
cores left, and a figure without that says nothing. Progress is what the partitions have left: what is read again after
partitions moved is no progress. It refuses the time of a run that is not all found in the rollups.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Sequence

import psutil

from bench.outcome import WrongOutcome, settle
from bench.peer import tree_cost
from bench.results import Figure
from bench.rig import Rig, Worker, await_that
from bench.throughput import RUN_S, SAMPLE_S, Rate, Sample, middle_rate, tocsin_rate
from bench.workloads import PARTITIONS, Load, publish

UNTIL = 0.9
SERIES = 1_000
RATE = 150_000.0

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Look:
    """Processor seconds used until `at`: by all workers, by the broker, by everything."""

    at: float
    workers: float
    broker: float
    machine: float


@dataclasses.dataclass(frozen=True)
class Together:
    """One run of two workers. Cores kept busy in its middle."""

    per_s: float
    workers: float
    broker: float
    machine: float

    def line(self) -> str:
        """In words."""
        busy = f"{self.workers:.2f} cores busy in two workers, {self.broker:.2f} in the broker"
        return f"{self.per_s:,.0f}/s; {busy}, {self.machine:.2f} of {os.cpu_count()} in all"


def look(rig: Rig, workers: Sequence[Worker]) -> Look:
    """At this moment."""
    times = psutil.cpu_times()
    busy = sum(times) - times.idle - getattr(times, "iowait", 0.0)
    return Look(time.perf_counter(), sum(w.cpu_s for w in workers), tree_cost(rig.broker_pid).cpu_s, busy)


def busy(first: Look, last: Look) -> tuple[float, float, float]:
    """Cores between two looks: workers, broker, machine."""
    seconds = last.at - first.at
    names = ("workers", "broker", "machine")
    workers, broker, machine = ((getattr(last, name) - getattr(first, name)) / seconds for name in names)
    return workers, broker, machine


def left_over(workers: Sequence[Worker]) -> float | None:
    """Records that both have yet to take; None while not each holds some partitions and all are held once."""
    names = {f"tocsin_lag_records{{partition={partition},stage=aggregate}}" for partition in range(PARTITIONS)}
    seen = [worker.metrics() for worker in workers]
    held = [names & metrics.keys() for metrics in seen]
    if not all(held) or sum(map(len, held)) != PARTITIONS:
        return None
    return sum(metrics[name] for metrics, mine in zip(seen, held, strict=True) for name in mine)


def two_rate(rig: Rig, load: Load) -> Together:
    """Two workers on what is published. Raises WrongOutcome."""
    rig.fresh(keep_telemetry=True)
    application = rig.name("pair")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(rig.worker(application)) for _ in range(2)]
        samples: list[Sample] = []
        looks: list[Look] = []

        def done() -> bool:
            left = left_over(workers)
            if left is None:
                samples.clear()  # partitions move, and what the one had not saved is read again by the other
                looks.clear()
                return False
            samples.append((time.perf_counter(), load.measurements - left))
            if samples[-1][1] < load.measurements * UNTIL:
                looks.append(look(rig, workers))
            return not left

        await_that(done, f"{load.measurements:,} measurements applied by two workers", RUN_S, SAMPLE_S)
        if len(looks) < 2:
            raise ValueError("the load is too small: all was done before both workers had partitions")
        rate = middle_rate(samples, samples[0][1], load.measurements * UNTIL)
        total = settle(rig.bootstrap, workers, load.measurements)
        if total["tocsin_unaccounted_events"]:
            raise WrongOutcome(f"{total['tocsin_unaccounted_events']:.0f} measurements unaccounted for")
        return Together(rate, *busy(looks[0], looks[-1]))


def pair(rig: Rig, measurements: int, runs: int, say: Say) -> list[Figure]:
    """Two against one, interleaved."""
    load = Load(measurements, SERIES, RATE)
    rig.fresh(keep_telemetry=False)
    publish(rig.bootstrap, load)
    one: list[Rate] = []
    two: list[Together] = []
    for _ in range(runs):
        one.append(tocsin_rate(rig, load))
        say(f"one worker: {one[-1].line()}")
        two.append(two_rate(rig, load))
        say(f"two workers: {two[-1].line()}")
    return figures(one, two)


def figures(one: Sequence[Rate], two: Sequence[Together]) -> list[Figure]:
    """Of runs beside each other."""
    ratio = tuple(both.per_s / alone.per_s for both, alone in zip(two, one, strict=True))
    middle = {name: statistics.median(getattr(run, name) for run in two) for name in ("workers", "broker", "machine")}
    where = (
        f"{statistics.median(run.per_s for run in two):,.0f} events/s by two; cores busy: {middle['workers']:.2f} in the "
        f"workers, {middle['broker']:.2f} in the broker, {middle['machine']:.2f} of {os.cpu_count()} in all; "
        f"one worker alone keeps {statistics.median(run.cores for run in one):.2f} busy"
    )
    return [Figure("two_workers_ratio", "x", ratio, ">= 1.6", where)]
