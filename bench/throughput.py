"""Throughput: how fast one worker takes what is already in the log, full path, durable state on.

What: a worker starts on a full log; decode, aggregate, merge, SLO evaluation, rollups, snapshots and alerts all run in
it, as in production. The rate is that of the middle: from the first sample after `WARM` of the load (and after all
series have been met, by the aggregate and by the merge) to the first after `UNTIL`, so that start-up and tail are left
out. Why its own counter: it moves at checkpoints, when what it counts is handed to Kafka. It refuses a rate whose
measurements are not found again in the rollups.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from bench.outcome import check_account, settle
from bench.rig import Metrics, Rig, await_that
from bench.workloads import Load

WARM, UNTIL = 0.25, 0.97
SAMPLE_S = 0.2
RUN_S = 400.0

ACCEPTED = "tocsin_measurements_total{accepted}"
SERIES = "tocsin_series"
MERGED = "tocsin_merge{rows}"  # each series is one of them in the first pane that is merged
#: What the worker says that it spent its time on, in seconds.
COSTS = {
    "aggregate": "tocsin_apply_seconds_total{aggregate}",
    "merge": "tocsin_apply_seconds_total{merge}",
    "snapshots": "tocsin_snapshot_seconds_sum",
    "checkpoints (waits included)": "tocsin_checkpoint_seconds_sum",
}

Sample = tuple[float, float]  # (seconds, measurements done)


@dataclasses.dataclass(frozen=True)
class Rate:
    """One run of one worker."""

    per_s: float
    rss_mb: float  # when all is done
    peak_mb: float
    warm_s: float  # from the first measurement to where the middle begins
    cores: float  # that the worker kept busy in the middle: far below 1, it waited or was not let
    costs: dict[str, float]

    def line(self) -> str:
        """In words."""
        spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.costs.items())
        memory = f"{self.rss_mb:.0f} MB resident, {self.peak_mb:.0f} at most"
        busy = f"{self.cores:.2f} cores busy"
        return f"{self.per_s:,.0f}/s; {busy}; {memory}; warm after {self.warm_s:.1f} s; seconds in {spent}"


def changes(samples: Sequence[Sample]) -> list[Sample]:
    """The samples at which the count moved, and the first."""
    return [s for place, s in enumerate(samples) if place == 0 or s[1] != samples[place - 1][1]]


def middle_rate(samples: Sequence[Sample], begin: float, until: float) -> float:
    """Measurements a second from the first sample with at least `begin` of them to the first with at least `until`.

    Raises ValueError when both are the same sample: the load is too small for a rate.
    """
    moved = changes(samples)
    first = next(sample for sample in moved if sample[1] >= begin)
    last = next(sample for sample in moved if sample[1] >= until)
    if last[0] <= first[0]:
        raise ValueError("the load is too small: one step took all of it")
    return (last[1] - first[1]) / (last[0] - first[0])


def tocsin_rate(rig: Rig, load: Load) -> Rate:
    """One worker on what is published. Raises WrongOutcome."""
    rig.fresh(keep_telemetry=True)
    with rig.worker() as worker:
        samples: list[Sample] = []
        warm: list[float] = []
        spent: list[Sample] = []  # (seconds, seconds of processor time) from the middle's begin to its end
        found = Metrics()

        def done() -> bool:
            nonlocal found
            found = worker.metrics()
            samples.append((time.perf_counter(), found[ACCEPTED]))
            seen = min(found[SERIES], found[MERGED]) >= load.warming
            if not warm and seen and found[ACCEPTED] >= load.measurements * WARM:
                warm.append(found[ACCEPTED])
            if warm and (found[ACCEPTED] < load.measurements * UNTIL or len(spent) < 2):
                spent.append((samples[-1][0], worker.cpu_s))
            return found[ACCEPTED] >= load.measurements

        await_that(done, f"{load.measurements:,} measurements applied", RUN_S, SAMPLE_S)
        if not warm:
            raise ValueError(f"{load.warming:,} series were never seen: {found[SERIES]:,.0f} at the end")
        rate = middle_rate(samples, warm[0], load.measurements * UNTIL)
        costs = {name: found[metric] for name, metric in COSTS.items()}
        check_account(settle(rig.bootstrap, [worker], load.measurements), load.measurements)
        began = next(at for at, count in samples if count)
        warm_s = next(at for at, count in samples if count >= warm[0]) - began
        cores = (spent[-1][1] - spent[0][1]) / (spent[-1][0] - spent[0][0]) if len(spent) > 1 else 0.0
        return Rate(rate, worker.rss_mb, worker.peak_mb, warm_s, cores, costs)
