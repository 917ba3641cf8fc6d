"""Replay: the partials of a run, as they lie in the log, through fresh steps: the same alerts, byte for byte.

What: every record of each partition of the partials goes through a merge step that nobody killed, and its transitions are
held against the alerts topic, where workers that died wrote theirs. A program of its own, as it takes a processor for a while.
Why: alerts are promised to be a function of the log, and a run full of kills is where that would break. It refuses to be
confused by what comes while it reads: what lay there before must be in the replay, and what the replay says must come to lie
there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from alerts.config import Config, read_config
from alerts.route import Routes
from demo.workers import ROOT
from schemas import codec
from schemas.records import AlertTransition
from streams import topics
from streams.merge import MergeStep
from streams.records import Record, Records
from streams.settings import Settings, load

CHUNK = 500  # records
ANSWER_S = 20.0
REPLAY_MAX_S = 900.0
COME_MAX_S = 20.0  # until what the replay says has come
LOOK_S = 0.5
SHOWN = 3

Name = tuple[str, int]  # of a transition: alert and number
Transitions = dict[Name, bytes]


def recorded(bootstrap: str, topic: str, partition: int) -> Iterator[Record]:
    """Every record that lies in a partition when this begins. Raises KafkaException, TimeoutError."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "proof-replay", "enable.auto.commit": False})
    place = TopicPartition(topic, partition)
    place.offset, high = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
    consumer.assign([place])
    at = place.offset
    while at < high:
        messages = consumer.consume(min(CHUNK, high - at), ANSWER_S)
        if not messages:
            raise TimeoutError(f"{topic} {partition}: nothing came after {at} of {high}")
        for message in messages:
            value, offset = message.value(), message.offset()
            if message.error() is None and value is not None and offset is not None:
                yield Record(offset, message.timestamp()[1], value, message.key())
                at = offset + 1
    consumer.close()


def written(bootstrap: str, partitions: int) -> tuple[Transitions, list[str]]:
    """What lies in the alerts topic, and what is written there in two ways."""
    found, twice = Transitions(), list[str]()
    for partition in range(partitions):
        for record in recorded(bootstrap, topics.ALERTS, partition):
            for name, value in transition(record.value):
                if found.setdefault(name, value) != value:
                    twice.append(f"transition {name} was written in two ways")
    return found, twice


def transition(value: bytes) -> Iterator[tuple[Name, bytes]]:
    """The transition in a record of the alerts topic, if it is one."""
    record = codec.decode(value)
    if isinstance(record, AlertTransition):
        yield (record.alert_id, record.number), value


def said(records: Iterator[Record], step: MergeStep) -> Transitions:
    """What a fresh step says to these records."""
    found, chunk = Transitions(), list[Record]()
    for record in records:
        chunk.append(record)
        if len(chunk) == CHUNK:
            found |= outputs(step, chunk)
            chunk = []
    return found | outputs(step, chunk)


def outputs(step: MergeStep, chunk: list[Record]) -> Transitions:
    """Its transitions, after some more."""
    step.apply(Records.of(chunk))
    alerts = [out.value for out in step.drain() if out.topic == topics.ALERTS and out.value is not None]
    return {name: value for alert in alerts for name, value in transition(alert)}


def differ(before: Mapping[Name, bytes], replayed: Mapping[Name, bytes], after: Mapping[Name, bytes]) -> list[str]:
    """What a replay says otherwise than the topic, as it was before and after."""
    wrong = [f"a replay does not say {name}" for name in sorted(before.keys() - replayed.keys())]
    wrong += [f"only a replay says {name}" for name in sorted(replayed.keys() - after.keys())]
    shared = replayed.keys() & after.keys()
    wrong += [f"a replay says {name} in other bytes" for name in sorted(shared) if replayed[name] != after[name]]
    return wrong[:SHOWN]


def check(bootstrap: str, partitions: int, slos: Path) -> tuple[list[str], int]:
    """What is wrong, and how many transitions there were to compare."""
    config, settings = read_config(slos), load(partitions=partitions)
    before, _ = written(bootstrap, partitions)
    replayed = Transitions()
    for partition in range(partitions):
        replayed |= said(recorded(bootstrap, topics.PARTIALS, partition), fresh(partition, settings, config))
    return settled(before, replayed, lambda: written(bootstrap, partitions)), len(replayed)


def beside(bootstrap: str, partitions: int, slos: Path) -> tuple[list[str], int]:
    """`check` in a process of its own. Raises CalledProcessError, TimeoutExpired."""
    command = [sys.executable, "-m", "proof.replay", bootstrap, str(partitions), str(slos)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=REPLAY_MAX_S, check=True)
    wrong, count = json.loads(done.stdout.splitlines()[-1])
    return wrong, count


def fresh(partition: int, settings: Settings, config: Config) -> MergeStep:
    """A step that has seen nothing. Routes say only where an alert goes, not what it says."""
    return MergeStep(partition, settings, config, Routes.plain("nobody"))


def settled(before: Transitions, replayed: Transitions, look: Callable[[], tuple[Transitions, list[str]]]) -> list[str]:
    """What is still wrong when all that the replay says has come, or after a while."""
    ends = time.monotonic() + COME_MAX_S
    while True:
        after, twice = look()
        wrong = twice + differ(before, replayed, after)
        if not wrong or time.monotonic() > ends:
            return wrong
        time.sleep(LOOK_S)


if __name__ == "__main__":
    print(json.dumps(check(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
