"""The limit: a plain librdkafka consumer that does nothing with what it gets.

Reads the topic in BENCH_TOPIC from its beginning in calls of many records and counts them. Nothing that reads records in
Python through this library can be faster. Refuses to look at a value.
"""

from __future__ import annotations

import time

from confluent_kafka import Consumer, TopicPartition

from bench.peers import work

CALL = 10_000
REPORT_S = 0.2


def main() -> None:
    """Run until killed."""
    consumer = Consumer({"bootstrap.servers": work.BOOTSTRAP, "group.id": work.GROUP, "enable.auto.commit": False})
    consumer.assign([TopicPartition(work.TOPIC, partition, 0) for partition in range(work.PARTITIONS)])
    done, told = 0, time.monotonic()
    while True:
        done += len(consumer.consume(CALL, REPORT_S))
        if time.monotonic() - told >= REPORT_S:
            told = time.monotonic()
            work.report(done=done)


if __name__ == "__main__":
    main()
