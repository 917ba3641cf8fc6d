"""The job's names and forms: topics, the driver's serializers, what the workers are told.

What: the driver writes `data` (key: text, value: int) and reads the topics of `OUTPUTS`, in Kafka's Java serializers: numbers
in network order. `smoke.counts` is the job's own. It refuses to know how anything is counted.
"""

from __future__ import annotations

import dataclasses
import os
import struct

from confluent_kafka.admin import NewTopic

from bench.rig import await_that
from streams import topics

DATA, COUNTS = "data", "smoke.counts"
ONCE = ("min-suppressed", "sws-suppressed")
OUTPUTS = ("echo", "min", "max", "dif", "sum", "cnt", "avg", "tagg", "min-raw", "sws-raw", *ONCE)
STAGES = ("smoke_intake", "smoke_outcome", "smoke_tally")
FLUSH = b"flush"  # of records that only move time

SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000

INT, LONG, DOUBLE = struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">d")

#: What a job may do wrong on purpose, and what the driver must then complain of.
WRONGS = {"dropped": "cnt fail", "doubled": "cnt fail", "repeated": "non-unique result"}
WRONG_AT = 7  # offset in each partition of `data`, or place among a partition's results that may occur once
WRONG = "SMOKE_WRONG"


@dataclasses.dataclass(frozen=True)
class Wrong:
    """What this job does wrong: nothing, or one of WRONGS."""

    name: str = ""

    @classmethod
    def told(cls) -> Wrong:
        """By the environment. Raises ValueError for a wrong that nobody knows."""
        name = os.environ.get(WRONG, "")
        if name and name not in WRONGS:
            raise ValueError(f"{WRONG}={name}: {', '.join(WRONGS)}")
        return cls(name)


def state_topics() -> list[str]:
    """Of the job's own stages."""
    return [topics.STATE_PREFIX + stage for stage in STAGES]


def made(bootstrap: str, partitions: int, *, keep: tuple[str, ...] = ()) -> None:
    """All topics of the job and the product, empty but for those to keep. Raises what the broker says."""
    client = topics.admin(bootstrap)
    mine = {DATA: {}, "fk": {}, COUNTS: {}, **{name: {} for name in OUTPUTS}}
    mine |= {name: {"cleanup.policy": "compact"} for name in state_topics()}
    known = set(client.list_topics(timeout=10).topics)
    ours = {topic.name for topic in topics.TOPICS}
    if gone := [name for name in known & (mine.keys() | ours) if name not in keep]:
        for answer in client.delete_topics(gone).values():
            answer.result(30)
        await_that(lambda: not set(gone) & set(client.list_topics(timeout=10).topics), "topics are deleted")
    new = [NewTopic(name, partitions, 1, config=config) for name, config in mine.items() if name not in keep]
    for answer in client.create_topics(new).values():
        answer.result(30)
    topics.ensure(bootstrap, partitions)
