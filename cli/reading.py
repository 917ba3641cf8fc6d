"""Reading: topics as finite lists and as endless streams, behind a seam that tests replace.

What: `Log` is what the commands need of Kafka; `KafkaLog` is Kafka. Every finite read ends at the offsets that were the
end when it began. Why a seam: what a command says about records can be tested without a broker. It refuses to join a
consumer group and to commit: looking changes nothing.
"""

from __future__ import annotations

import dataclasses
import heapq
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from cli import where
from cli.output import UNREACHABLE, USAGE, Stop

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, TopicPartition

ANSWER_S = 5.0
POLL_S = 0.2
BATCH = 2_000
SILENCE_S = 15.0  # in the middle of a finite read
#: librdkafka's own code for "the end of a partition", which its Python face only names with an underscore.
END_OF_PARTITION = -191
#: Authorisation of topic, group and cluster; unknown topic; failed authentication.
FINAL = frozenset({29, 30, 31, 3, 58, -169})
FORBIDDEN = frozenset({29})  # a topic, by its authorisation
HEAR_S = 0.2
#: No leader yet, another leader now, not yet known to this broker.
LEADERLESS = frozenset({5, 6, 3, -190})
SCAN_RECORDS = 100_000  # per partition that a filtered look back goes through


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One record as it lies in the log. `value` None: a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None


class Log(Protocol):
    """What commands need of a broker."""

    def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        """(first offset, offset after the last) by partition. Raises Stop: no such topic, or no broker."""

    def since(self, topic: str, time_ms: int) -> Mapping[int, int]:
        """The first offset whose record is not older, by partition; the end where there is none. Raises Stop."""

    def read(self, topic: str, starts: Mapping[int, int], ends: Mapping[int, int] | None) -> Iterator[Message]:
        """Records from `starts` up to `ends` (exclusive), or without end; order holds within a partition."""

    def close(self) -> None:
        """Let go."""


def everything(log: Log, topic: str) -> Iterator[Message]:
    """All records there are now."""
    bounds = log.bounds(topic)
    return log.read(topic, {p: low for p, (low, _) in bounds.items()}, {p: high for p, (_, high) in bounds.items()})


def newest(log: Log, topic: str, count: int, contains: str = "") -> tuple[list[Message], dict[int, int]]:
    """The last `count` records by time whose key contains a text, oldest first; and where the log ended.

    With a text, the last SCAN_RECORDS of each partition are looked through.
    """
    bounds = log.bounds(topic)
    back = SCAN_RECORDS if contains else count
    starts = {p: max(low, high - back) for p, (low, high) in bounds.items()}
    ends = {p: high for p, (_, high) in bounds.items()}
    found: list[tuple[int, int, int, Message]] = []
    for message in log.read(topic, starts, ends):
        if fits(message, contains):
            item = (message.timestamp_ms, message.offset, message.partition, message)
            if len(found) < count:
                heapq.heappush(found, item)
            elif found and item[:3] > found[0][:3]:
                heapq.heapreplace(found, item)
    return [item[3] for item in sorted(found, key=lambda item: item[:3])], ends


def fits(message: Message, contains: str) -> bool:
    """Whether the key contains the text; any key contains no text."""
    return contains.encode() in message.key


class KafkaLog:
    """A broker, through librdkafka."""

    def __init__(self, bootstrap: str, answer_s: float = ANSWER_S) -> None:
        from confluent_kafka import Consumer

        from access.refusals import Ear

        security = where.security()
        self._ear = Ear(security.principal)  # what a broker that does not let us in says beside its answers
        self._bootstrap, self._answer_s = bootstrap, answer_s
        settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "group.id": f"tocsin-cli-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,  # a question about the next topic waits behind the long poll of the last
            "log_level": 0,
            "error_cb": self._ear,
            **security.librdkafka(),
        }
        self._consumer = Consumer(settings)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def _silent(self, reason: object) -> Stop:
        do = "start one with `tocsin up`, or name yours with --bootstrap or TOCSIN_BOOTSTRAP; `tocsin doctor` looks closer"
        return Stop(UNREACHABLE, f"no broker answers: {reason}", self._bootstrap, do)

    def _failed(self, error: KafkaError, resource: str = "") -> Stop:
        """No answer, or a refusal, which is told with who, what and what to do."""
        from access import refusals

        self._consumer.poll(HEAR_S)
        if self._ear.last or refusals.reason(error):
            told = self._ear.last or refusals.told(error, self._ear.principal, resource)
            what, _, do = told.rpartition("; ")
            return Stop(UNREACHABLE, what, self._bootstrap, do)
        return self._silent(error.str())

    def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        """See `Log`."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            known = self._consumer.list_topics(timeout=self._answer_s).topics
            if topic not in known:
                asked = self._consumer.list_topics(topic, timeout=self._answer_s).topics[topic].error
                if asked is not None and asked.code() in FORBIDDEN:
                    raise self._failed(asked, f"topic {topic} (Describe)")
                ours = ", ".join(sorted(name for name in known if not name.startswith("__"))) or "none"
                do = f"topics there: {ours}; `tocsin topics create` makes ours"
                raise Stop(USAGE, f"there is no topic {topic!r}", self._bootstrap, do)
            return {
                partition: self._watermarks(TopicPartition(topic, partition)) for partition in known[topic].partitions
            }
        except KafkaException as error:
            raise self._failed(error.args[0], f"topic {topic} (Describe)") from error

    def _watermarks(self, at: TopicPartition) -> tuple[int, int]:
        """First offset and the one after the last; waits for a leader, which a new topic may not have yet."""
        from confluent_kafka import KafkaException

        until = time.monotonic() + self._answer_s
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(at, timeout=self._answer_s)
            except KafkaException as error:
                if error.args[0].code() not in LEADERLESS or time.monotonic() > until:
                    raise
                time.sleep(POLL_S)
                continue
            return low, high

    def since(self, topic: str, time_ms: int) -> Mapping[int, int]:
        """See `Log`."""
        from confluent_kafka import KafkaException, TopicPartition

        bounds = self.bounds(topic)
        asked = [TopicPartition(topic, partition, time_ms) for partition in bounds]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=self._answer_s)
        except KafkaException as error:
            raise self._silent(error.args[0].str()) from error
        return {at.partition: at.offset if at.offset >= 0 else bounds[at.partition][1] for at in found}

    def read(self, topic: str, starts: Mapping[int, int], ends: Mapping[int, int] | None) -> Iterator[Message]:
        """See `Log`."""
        from confluent_kafka import KafkaException, TopicPartition

        left = {p for p, start in starts.items() if ends is None or start < ends[p]}
        if not left:
            return
        self._consumer.assign([TopicPartition(topic, partition, starts[partition]) for partition in sorted(left)])
        heard = time.monotonic()
        try:
            while left or ends is None:
                for record in self._consumer.consume(BATCH, POLL_S):
                    partition, offset = record.partition() or 0, record.offset() or 0
                    if (error := record.error()) is not None:
                        if self._at_end(error, topic) and ends is not None:
                            left.discard(partition)
                        continue
                    heard = time.monotonic()
                    if ends is None or offset < ends[partition]:
                        yield Message(
                            topic, partition, offset, record.timestamp()[1], _bytes(record.key()), record.value()
                        )
                    if ends is not None and offset + 1 >= ends[partition]:
                        left.discard(partition)
                if ends is not None and time.monotonic() - heard > SILENCE_S:
                    raise self._silent(f"nothing came for {SILENCE_S:.0f} s, though more is there")
        except KafkaException as error:
            raise self._failed(error.args[0]) from error
        finally:
            self._consumer.unassign()

    def _at_end(self, error: KafkaError, topic: str) -> bool:
        """Whether this says "no more for now"; what will not pass by itself raises, what may is waited for."""
        if error.code() == END_OF_PARTITION:
            return True
        if error.fatal() or error.code() in FINAL:
            raise self._failed(error, f"topic {topic} (Read)" if error.code() in FORBIDDEN else "")
        return False


def _bytes(key: bytes | str | None) -> bytes:
    return key.encode() if isinstance(key, str) else key or b""


def opened(bootstrap: str) -> Log:
    """The log behind a command; tests put another in its place."""
    return KafkaLog(bootstrap)
