"""Outcome: whether a run did its work, before its time counts.

What: reads `telemetry.rollups` as an analyst would (the newest revision of each series and window wins), adds up the
measurements of all final 10 s windows, and holds them and the worker's own account against what was published. Why: a
fast worker that loses something is not fast. It refuses to be lenient: one measurement too few or too many fails the
run.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray

from bench.rig import Metrics, Worker
from bench.workloads import PARTITIONS
from rollups.limits import PANE_MS
from schemas import codec
from schemas.cells import FLAG_FINAL
from schemas.records import RollupBatch
from streams import topics

SETTLE_S = 90.0


class WrongOutcome(RuntimeError):
    """The run did not do its work, so its time does not count."""


@dataclasses.dataclass(frozen=True, slots=True)
class Arrived:
    """One batch of final 10 s rollups, when this process read it. Times in ms since epoch."""

    at_ms: int
    partition: int
    start_ms: int
    rows: int


class Rollups:
    """A reader of the rollups topic, from its beginning."""

    def __init__(self, bootstrap: str) -> None:
        self.arrived: list[Arrived] = []
        self._columns: list[tuple[NDArray[np.int64], ...]] = []
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench-reader", "enable.auto.commit": False}
        )
        self._consumer.assign([TopicPartition(topics.ROLLUPS, partition, 0) for partition in range(PARTITIONS)])

    def read(self, seconds: float) -> int:
        """Take in what comes within so many seconds; how many batches that were."""
        deadline, taken = time.monotonic() + seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            for message in self._consumer.consume(500, min(left, 0.05)):
                value, error = message.value(), message.error()
                if error is None and value is not None:
                    self._take(codec.decode(value), time.time_ns() // 1_000_000)
                    taken += 1
        return taken

    def _take(self, batch: object, at_ms: int) -> None:
        if not isinstance(batch, RollupBatch) or batch.window_ms != PANE_MS:
            return
        final = np.flatnonzero(batch.cells.flags & FLAG_FINAL)
        if not len(final):
            return
        self.arrived.append(Arrived(at_ms, batch.partition, batch.start_ms, len(final)))
        columns = (batch.cells.series.view(np.int64), batch.cells.pane_ms, batch.cells.revision, batch.cells.count)
        self._columns.append(tuple(np.asarray(column[final], np.int64) for column in columns))

    def measurements(self) -> int:
        """Measurements in all final windows, each series and window once, by its newest revision."""
        return newest_count(self._columns)

    def newest_start(self) -> int:
        """Start of the newest window read, ms; 0 for none."""
        return max((batch.start_ms for batch in self.arrived), default=0)

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def newest_count(columns: Sequence[tuple[NDArray[np.int64], ...]]) -> int:
    """Sum of the counts of rows (series, start, revision, count), in the order of the log: of each series and start
    only the highest revision counts, and of equal revisions the last."""
    if not columns:
        return 0
    series, start, revision, count = (np.concatenate([block[place] for block in columns]) for place in range(4))
    order = np.lexsort((np.arange(len(series)), revision, start, series))
    series, start, count = series[order], start[order], count[order]
    last = np.append((series[1:] != series[:-1]) | (start[1:] != start[:-1]), True)
    return int(count[last].sum())


def settle(bootstrap: str, workers: Sequence[Worker], published: int, rollups: Rollups | None = None) -> Metrics:
    """Wait until all that was published is in final rollups, then check the workers' own account; their metrics.

    Raises WrongOutcome.
    """
    reader = rollups or Rollups(bootstrap)
    deadline = time.monotonic() + SETTLE_S
    try:
        while reader.read(0.5) or reader.measurements() != published:
            if time.monotonic() > deadline:
                break
        found = reader.measurements()
    finally:
        if rollups is None:
            reader.close()
    if found != published:
        raise WrongOutcome(f"{published:,} measurements published, {found:,} in final rollups after {SETTLE_S:.0f} s")
    total = Metrics()
    for worker in workers:
        for name, value in worker.metrics().items():
            total[name] += value
    return total


def check_account(metrics: Metrics, published: int) -> None:
    """One worker's own account of all that was published. Raises WrongOutcome."""
    expected = {
        "tocsin_measurements_total{accepted}": published,
        "tocsin_unaccounted_events": 0,
        "tocsin_measurements_total{deduped}": 0,
        "tocsin_measurements_total{too_late}": 0,
        "tocsin_measurements_total{future}": 0,
        "tocsin_measurements_total{overflowed}": 0,
        "tocsin_refused_records_total": 0,
    }
    wrong = [
        f"{name} is {metrics[name]:,.0f}, not {value:,}" for name, value in expected.items() if metrics[name] != value
    ]
    if wrong:
        raise WrongOutcome("; ".join(wrong))
