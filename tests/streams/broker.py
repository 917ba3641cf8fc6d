"""What tests do to a broker: make topics, fill them, read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def make_topic(bootstrap: str, name: str, partitions: int = 1, **config: str) -> str:
    """`name`, once it is there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, partitions, config=config)])[name].result(30)
    return name


def fill(bootstrap: str, topic: str, values: Iterable[tuple[int, bytes]], **config: Any) -> None:
    """Produce (partition, value) pairs and wait for them."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, **config})
    failed: list[object] = []
    for partition, value in values:
        while True:
            try:
                producer.produce(
                    topic, value, partition=partition, on_delivery=lambda e, _: failed.append(e) if e else 0
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert not failed, failed[:3]


def read_all(bootstrap: str, topic: str, partitions: int) -> dict[int, list[tuple[int, bytes | None]]]:
    """(offset, value) of every record, by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found: dict[int, list[tuple[int, bytes | None]]] = {partition: [] for partition in range(partitions)}
        left = set(range(partitions))
        while left:
            message = consumer.poll(10)
            assert message is not None, f"no end of {topic} within 10 s"
            if message.error() is None:
                found[message.partition()].append((message.offset(), message.value()))
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                left.discard(message.partition())
        return found
    finally:
        consumer.close()


def truth(bootstrap: str, output: str, partitions: int) -> dict[int, dict[str, int]]:
    """What the tiny stage says of each partition: the row with the highest fence."""
    rows = {
        p: [json.loads(value or b"{}") for _, value in found]
        for p, found in read_all(bootstrap, output, partitions).items()
    }
    return {partition: max(found, key=lambda row: row["fence"]) for partition, found in rows.items() if found}


def committed(bootstrap: str, group: str, topic: str, partitions: int) -> dict[int, int]:
    """Committed offset of each partition; negative where there is none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        places = consumer.committed([TopicPartition(topic, partition) for partition in range(partitions)], timeout=10)
        return {place.partition: place.offset for place in places}
    finally:
        consumer.close()
