"""Truth: what a peer's results must be, from the rows that were published, and whether they are.

What: the same rows made again, summed by numpy per series and window, held against the records of a results topic: count,
sum, lowest, highest, good and every bucket of the histogram. A peer that tells final windows is held against whole
windows; one that tells unfinished windows in rounds, against the events that it says it had taken by a round. Why: only
work that was done right counts as speed. It refuses tolerance, except in the last digits of a sum of doubles.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray

from bench.outcome import WrongOutcome
from bench.peers.work import HISTOGRAM_SCALE, WINDOW_MS
from bench.workloads import PARTITIONS, Load, Rows, first_sight, key_of, rows, warm_up_ms

SUM_DIGITS = 1e-9
QUIET_S = 1.0
SHOWN = 5

Window = tuple[str, int]  # (series, start in ms)
Cell = dict[str, object]


def all_rows(load: Load, end_ms: int) -> Rows:
    """Every row of a load, as one, its warm-up first."""
    first = first_sight(load.series, warm_up_ms(load, end_ms)) if load.warm_up else ()
    blocks = [*first, *rows(load, end_ms)]
    names = [field.name for field in dataclasses.fields(Rows)]
    return Rows(**{name: np.concatenate([getattr(block, name) for block in blocks]) for name in names})


def taken_rows(every: Rows, taken: Sequence[int]) -> Rows:
    """The first so many rows of each partition."""
    keep = np.zeros(len(every.source), np.bool_)
    for partition, count in enumerate(taken):
        keep[np.flatnonzero(every.source % PARTITIONS == partition)[:count]] = True
    return Rows(every.source[keep], every.series[keep], every.time_ms[keep], every.value[keep], every.good[keep])


def windows(found: Rows) -> dict[Window, Cell]:
    """The aggregate of every series and window in the rows."""
    if not len(found.series):
        return {}
    start = found.time_ms // WINDOW_MS * WINDOW_MS
    base = int(start.min())
    spread = (int(start.max()) - base) // WINDOW_MS + 1
    ids, group = np.unique(found.series * spread + (start - base) // WINDOW_MS, return_inverse=True)
    count = np.bincount(group)
    order = np.argsort(group, kind="stable")
    cuts = np.cumsum(count) - count
    low, high = (np.asarray(least.reduceat(found.value[order], cuts)) for least in (np.minimum, np.maximum))
    total, good = np.bincount(group, found.value), np.bincount(group, found.good)
    histograms = buckets(group, found.value, len(ids))
    cells: dict[Window, Cell] = {}
    for at, each in enumerate(ids.tolist()):
        series, pane = divmod(each, spread)
        cells[key_of(series), base + pane * WINDOW_MS] = {
            "count": int(count[at]),
            "sum": float(total[at]),
            "low": float(low[at]),
            "high": float(high[at]),
            "good": int(good[at]),
            "histogram": histograms[at],
        }
    return cells


def buckets(group: NDArray[np.int64], value: NDArray[np.float64], groups: int) -> list[dict[str, int]]:
    """The histogram of each group: bucket to count. The values are above zero."""
    at = np.ceil(np.log2(value) * HISTOGRAM_SCALE).astype(np.int64) - 1
    found: list[dict[str, int]] = [{} for _ in range(groups)]
    pairs, counts = np.unique(np.stack([group, at]), axis=1, return_counts=True)
    for (which, bucket), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        found[which][str(bucket)] = count
    return found


def differs(result: Mapping[str, object], truth: Mapping[str, object]) -> str:
    """The first field that is wrong; empty for none."""
    for name, value in truth.items():
        if name == "sum":
            right = math.isclose(float(str(result[name])), float(str(value)), rel_tol=SUM_DIGITS)
        else:
            right = result[name] == value
        if not right:
            return f"{name} is {result[name]}, not {value}"
    return ""


def check(results: Mapping[Window, Mapping[str, object]], truth: Mapping[Window, Cell], must: set[Window]) -> int:
    """Every result is true and none of `must` is missing; how many events they hold. Raises WrongOutcome."""
    wrong = [f"{at}: not published" for at in results if at not in truth]
    wrong += [f"{at}: missing" for at in must if at not in results]
    wrong += [f"{at}: {told}" for at in results if at in truth and (told := differs(results[at], truth[at]))]
    if wrong:
        raise WrongOutcome(f"{len(wrong)} of {len(results)} results are wrong, such as {'; '.join(wrong[:SHOWN])}")
    return sum(int(str(result["count"])) for result in results.values())


def first_windows(truth: Mapping[Window, Cell]) -> set[Window]:
    """The windows that begin first: whoever tells final windows tells these first."""
    begin = min(start for _, start in truth)
    return {at for at in truth if at[1] == begin}


class Results:
    """A reader of a peer's results topic."""

    def __init__(self, bootstrap: str, topic: str, *, committed: bool = False) -> None:
        self.newest: dict[Window, dict[str, object]] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": topic,
                "enable.auto.commit": False,
                "isolation.level": "read_committed" if committed else "read_uncommitted",
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])

    def read(self, seconds: float = QUIET_S, last_round: int | None = None) -> int:
        """Take in what is there, until nothing comes for so many seconds; how many records. `last_round`: later ones
        are left out."""
        taken = 0
        while messages := self._consumer.consume(10_000, seconds):
            for message in messages:
                key, value, error = message.key(), message.value(), message.error()
                if error is not None or key is None or value is None:
                    continue
                result = json.loads(value)
                if last_round is None or result["round"] <= last_round:
                    self.newest[key.decode(), result["start_ms"]] = result
                    taken += 1
        return taken

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
