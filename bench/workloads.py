"""Workloads: the same telemetry for everyone, made and published before the clock starts.

One metric with three labels, kind outcome with a value, spread over `series` series; event times end at the moment of
making. Everything follows from a seed.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from confluent_kafka import Producer as Librdkafka

from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch, encode_events, event_tail
from schemas.records import MeasureKind, SourceKind
from streams import topics

METRIC = "http.request"
ROUTES = 100
METHODS = ("GET", "PUT", "POST", "DELETE")
SOURCES = 32
BAD_SHARE = 0.001
BLOCK = 100_000
SERIES_IN_BATCH = 20
RESOURCE = Resource(service="shop", version="1.0", environment="bench", region="here", source_kind=SourceKind.WEB)


@dataclasses.dataclass(frozen=True)
class Load:
    """What to publish. `span_s`: event time that the measurements cover, ending now."""

    measurements: int
    series: int
    batch: int = 0  # measurements a message; 0: single events
    span_s: float = 40.0
    seed: int = 7


def entry(number: int) -> SeriesEntry:
    """Series by number: three labels."""
    rest, route = divmod(number, ROUTES)
    client, method = divmod(rest, len(METHODS))
    labels = {"route": f"/route/{route}", "method": METHODS[method], "client": f"client-{client}"}
    return SeriesEntry(METRIC, MeasureKind.OUTCOME, "ms", labels)


class Publisher:
    """Fast publishing with acknowledgement of everything at the end."""

    def __init__(self, bootstrap: str) -> None:
        self._failed = 0
        self._producer = Librdkafka(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 20,
                "batch.size": 512 << 10,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 512 << 10,
            }
        )

    def send(self, key: bytes, value: bytes) -> None:
        """One record to `telemetry`; waits while the queue is full."""
        while True:
            try:
                return self._producer.produce(topics.TELEMETRY, value, key, on_delivery=self._answered)
            except BufferError:
                self._producer.poll(0.1)

    def _answered(self, error: object, _message: object) -> None:
        self._failed += error is not None

    def done(self) -> None:
        """Wait for all acknowledgements. Raises RuntimeError when any is missing."""
        left = self._producer.flush(120)
        if left or self._failed:
            raise RuntimeError(f"publishing the workload failed: {left} unacknowledged, {self._failed} refused")


def publish(bootstrap: str, load: Load) -> None:
    """Make the load and publish it."""
    publisher = Publisher(bootstrap)
    rng = np.random.default_rng(load.seed)
    end_ms = int(time.time() * 1000)
    if load.batch:
        _batches(publisher, load, rng, end_ms)
    else:
        _singles(publisher, load, rng, end_ms)
    publisher.done()


def _singles(publisher: Publisher, load: Load, rng: np.random.Generator, end_ms: int) -> None:
    tails = [event_tail(entry(number), RESOURCE) for number in range(load.series)]
    names = [f"source-{number}" for number in range(SOURCES)]
    producers = [Producer(name, "boot").encoded() for name in names]
    keys = [name.encode() for name in names]
    for begin in range(0, load.measurements, BLOCK):
        count = min(BLOCK, load.measurements - begin)
        number = np.arange(begin, begin + count)
        source = number % SOURCES
        events = encode_events(
            tails,
            producers,
            tail=rng.integers(0, load.series, count),
            producer=source,
            sequence=number // SOURCES,
            time_ms=end_ms - ((load.measurements - number) * load.span_s * 1000 / load.measurements).astype(np.int64),
            value=rng.lognormal(3.0, 1.0, count),
            outcome=rng.random(count) >= BAD_SHARE,
        )
        for who, event in zip(source.tolist(), events, strict=True):
            publisher.send(keys[who], event)


def _batches(publisher: Publisher, load: Load, rng: np.random.Generator, end_ms: int) -> None:
    messages = load.measurements // load.batch
    width = min(SERIES_IN_BATCH, load.series)
    groups = [[entry(first + i) for i in range(width)] for first in range(0, load.series - width + 1, width)]
    for number in range(messages):
        source = number % SOURCES
        base_ms = end_ms - int((messages - number) * load.span_s * 1000 / messages)
        value = encode_batch(
            groups[number % len(groups)],
            RESOURCE,
            Producer(f"source-{source}", "boot"),
            base_ms=base_ms,
            series=rng.integers(0, width, load.batch),
            delta_ms=np.sort(rng.integers(0, 500, load.batch)),
            value=rng.lognormal(3.0, 1.0, load.batch),
            outcome=rng.random(load.batch) >= BAD_SHARE,
            sequence=number // SOURCES,
        )
        publisher.send(f"source-{source}".encode(), value)
