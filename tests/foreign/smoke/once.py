"""Once: results of which each may occur once in its topic, whoever is killed in between.

What: a transactional producer a partition, made when the partition is taken over. Its first act fences every older one with
the same name; then what was committed is read back, and only what is not there yet is sent. Why: the driver wants suppressed
results exactly once in the log. Tocsin's own outputs replace themselves and need no transaction; these cannot. It refuses to
send anything after a younger one has fenced it.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Producer as Librdkafka

from streams.producer import Outgoing

TIMEOUT_S = 30.0


class Once:
    """Results of one partition, in topics of which it alone writes that partition."""

    def __init__(self, bootstrap: str, name: str, topics: Iterable[str], partition: int) -> None:
        self._partition = partition
        self._producer = Librdkafka({"bootstrap.servers": bootstrap, "transactional.id": f"{name}.{partition}"})
        self._producer.init_transactions(TIMEOUT_S)
        self._written = read_back(bootstrap, topics, partition)
        self._fenced = False

    def send(self, results: Iterable[Outgoing], repeat_at: int = -1) -> None:
        """Those that are not there yet, in one transaction. `repeat_at`: one that is sent twice, for a control."""
        new = [result for result in results if (result.topic, result.key) not in self._written]
        if not new or self._fenced:
            return
        if 0 <= repeat_at - len(self._written) < len(new):
            new.append(new[repeat_at - len(self._written)])
        try:
            self._producer.begin_transaction()
            for result in new:
                self._producer.produce(result.topic, result.value, result.key, partition=self._partition)
            self._producer.commit_transaction(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH}:
                raise
            self._fenced = True  # somebody else has the partition; they are that one's to send
            return
        self._written |= {(result.topic, result.key) for result in new}


def read_back(bootstrap: str, topics: Iterable[str], partition: int) -> set[tuple[str, bytes | None]]:
    """(topic, key) of everything committed in that partition of the topics."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "smoke.once",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    found: set[tuple[str, bytes | None]] = set()
    try:
        left = {topic: TopicPartition(topic, partition, 0) for topic in topics}
        consumer.assign(list(left.values()))
        while left:
            message = consumer.poll(TIMEOUT_S)
            if message is None:
                raise TimeoutError(f"{sorted(left)}[{partition}] could not be read back within {TIMEOUT_S:.0f} s")
            if message.error() is None:
                found.add((message.topic(), message.key()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.pop(message.topic(), None)
            else:
                raise KafkaException(message.error())
    finally:
        consumer.close()
    return found
