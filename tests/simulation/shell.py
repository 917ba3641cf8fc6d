"""The shell's world: the product's stage, state log and producer around a step that counts integers.

A run takes milliseconds, so that thousands of them fit where dozens of the platform's do. Each output is judged: a
count at a fence is that of the log up to the fence, whoever wrote it and when.
"""

from __future__ import annotations

import collections
import json
import random
from collections.abc import Callable, Iterator
from types import MappingProxyType

from streams import topics
from streams.step import Step
from tests.simulation.worker import Worker
from tests.simulation.world import World
from tests.streams.tiny import CountStep, Facts

RECORDS = 60
FACTS = Facts("", "tocsin", topics.TELEMETRY, topics.PARTIALS, "count")


class ShellWorld(World):
    """Two partitions of integers, counted; outputs of a partition go to the partition of the same number."""

    stages = MappingProxyType({"count": topics.TELEMETRY})
    partitions = 2
    ends_s = 4.0
    part_bytes = 10  # the state has 24

    def steps(self, worker: Worker) -> list[tuple[str, str, Callable[[int], Step]]]:
        return [("count", topics.TELEMETRY, lambda partition: CountStep(partition, FACTS))]

    def begin(self) -> None:
        dice = random.Random(self.seed)
        for number in range(RECORDS):
            value = b"%d" % dice.randrange(1_000_000)
            self.at(dice.uniform(0.0, 3.5), self.broker.append, topics.TELEMETRY, number % self.partitions, None, value)


def judge(world: ShellWorld) -> list[str]:
    """All that is wrong with a run."""
    return [*world.findings, *counts(world)]


def counts(world: ShellWorld) -> Iterator[str]:
    """Every output says what is true at its fence, and the highest fence is the log's end."""
    reached: collections.Counter[int] = collections.Counter()
    truth = {p: [int(r.value) for r in world.broker.records(topics.TELEMETRY, p)] for p in range(world.partitions)}
    for p in range(world.partitions):
        for record in world.broker.records(topics.PARTIALS, p):
            said = json.loads(record.value)
            read = truth[p][: said["fence"] + 1]
            reached[p] = max(reached[p], len(read))
            if (said["count"], said["sum"]) != (len(read), sum(read)):
                yield f"partition {p}: {said} should be {len(read)} and {sum(read)}"
        if reached[p] != len(truth[p]):
            yield f"partition {p}: outputs reach {reached[p]} of {len(truth[p])} records"
