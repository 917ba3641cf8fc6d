"""Workloads: the same telemetry for everyone, made and published before the clock starts, or at a pace.

What: one metric with three labels, kind outcome with a value, over so many series, from 32 sources that are dealt evenly
to four partitions. Single events: a series belongs to the sources of one partition, as a service's series do; some may come
out of order, or be of one hot series. Batches: every source sends every series. Everything but the times follows from a
seed, so that a check can make the same rows again. Why event times run at a rate: panes of 10 s must close as often per
measurement as they would live, or the cost of closing them is hidden. It refuses to go on when a record is not
acknowledged.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence

import numpy as np
from confluent_kafka import Producer as Librdkafka
from numpy.typing import NDArray

from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch, encode_events, event_tail
from schemas.records import MeasureKind, SourceKind
from streams import topics

METRIC = "http.request"
PARTITIONS = 4
ROUTES = 100
METHODS = ("GET", "PUT", "POST", "DELETE")
SOURCES = 32
BAD_SHARE = 0.001
BLOCK = 100_000
SERIES_IN_BATCH = 20
BATCH_SPREAD_MS = 500
RESOURCE = Resource(service="shop", version="1.0", environment="bench", region="here", source_kind=SourceKind.WEB)
FLUSH_S = 120
DISORDER_MS = 4_000  # an event out of order is at most so old: less than the lateness that is allowed
HOT_SERIES = 0
WARM_UP_VALUE = 20.0
WARM_UP_BEFORE_MS = 20_000  # a pane and the lateness: every stage has met the series before the time counts


@dataclasses.dataclass(frozen=True)
class Load:
    """What to publish. `rate`: measurements a second of event time; the last one is of now."""

    measurements: int  # those of the warm-up included
    series: int
    rate: float
    batch: int = 0  # measurements a message; 0: single events
    seed: int = 7
    warm_up: bool = False  # first each series once
    disorder: float = 0.0  # share of the single events that come out of order
    hot: float = 0.0  # share of the single events that are of one series, from every source
    keyed: bool = False  # the record's key is its series, so that peers who group by key need no repartition topic

    @property
    def warming(self) -> int:
        """Measurements of the warm-up."""
        return self.series if self.warm_up else 0


@dataclasses.dataclass(frozen=True)
class Rows:
    """Single events as arrays, in the order of publishing. Shapes (n,)."""

    source: NDArray[np.int64]
    series: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    good: NDArray[np.bool_]


def entry(number: int) -> SeriesEntry:
    """Series by number: three labels. Routes come first, so that any 100 series in a row are of 100 routes."""
    rest, route = divmod(number, ROUTES)
    client, method = divmod(rest, len(METHODS))
    labels = {"route": f"/route/{route}", "method": METHODS[method], "client": f"client-{client}"}
    return SeriesEntry(METRIC, MeasureKind.OUTCOME, "ms", labels)


def key_of(number: int) -> str:
    """A series' key in text, where the record's key is the series."""
    return "|".join(value for _, value in sorted(entry(number).labels.items()))


class Publisher:
    """Fast publishing with acknowledgement of everything at the end."""

    def __init__(self, bootstrap: str, linger_ms: int = 20) -> None:
        self._failed = 0
        self._producer = Librdkafka(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": linger_ms,
                "batch.size": 512 << 10,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 512 << 10,
                "delivery.report.only.error": True,
                "on_delivery": self._refused,
            }
        )

    def send(self, source: int, value: bytes, key: bytes = b"") -> None:
        """One record of a source to `telemetry`, its key the source's if none is given; waits while the queue is full."""
        key = key or f"source-{source}".encode()
        while True:
            try:
                return self._producer.produce(topics.TELEMETRY, value, key, partition=source % PARTITIONS)
            except BufferError:
                self._producer.poll(0.05)

    def poll(self) -> None:
        """Look at refusals."""
        self._producer.poll(0)

    def _refused(self, error: object, _message: object) -> None:
        self._failed += error is not None

    def done(self) -> None:
        """Wait for all acknowledgements. Raises RuntimeError when any is missing."""
        left = self._producer.flush(FLUSH_S)
        if left or self._failed:
            raise RuntimeError(f"publishing the workload failed: {left} unacknowledged, {self._failed} refused")


class Singles:
    """Single events of all sources, each source's own sequence unbroken."""

    def __init__(self, series: int) -> None:
        self._tails = [event_tail(entry(number), RESOURCE) for number in range(series)]
        self._producers = [Producer(f"source-{number}", "boot").encoded() for number in range(SOURCES)]
        self._next = np.zeros(SOURCES, np.int64)

    def encoded(
        self,
        source: NDArray[np.int64],
        series: NDArray[np.int64],
        time_ms: NDArray[np.int64],
        value: NDArray[np.float64],
        good: NDArray[np.bool_],
    ) -> list[bytes]:
        """One framed event a row. Shapes (n,)."""
        return encode_events(
            self._tails,
            self._producers,
            tail=series,
            producer=source,
            sequence=self._sequence(source),
            time_ms=time_ms,
            value=value,
            outcome=good,
        )

    def _sequence(self, source: NDArray[np.int64]) -> NDArray[np.int64]:
        order = np.argsort(source, kind="stable")
        count = np.bincount(source, minlength=SOURCES)
        rank = np.empty(len(source), np.int64)
        rank[order] = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
        sequence = self._next[source] + rank
        self._next += count
        return sequence


def publish(bootstrap: str, load: Load, end_ms: int = 0) -> None:
    """Make the load and publish it. `end_ms`: time of its last event since epoch; 0: now."""
    publisher = Publisher(bootstrap)
    end_ms = end_ms or int(time.time() * 1000)
    if load.batch:
        _batches(publisher, load, np.random.default_rng(load.seed), end_ms)
    else:
        _singles(publisher, load, end_ms)
    publisher.done()


def series_of(rng: np.random.Generator, series: int, source: NDArray[np.int64]) -> NDArray[np.int64]:
    """A series of each source's own: those of its partition, evenly. A service keeps its series where it is."""
    own = rng.integers(0, series // PARTITIONS, len(source))
    return own * PARTITIONS + source % PARTITIONS


def keys_of(series: int) -> list[bytes]:
    """The record's key of each series."""
    return [key_of(number).encode() for number in range(series)]


def first_sight(series: int, time_ms: int) -> Iterator[Rows]:
    """Each series once, at one time, block by block: what warms up."""
    for partition in range(PARTITIONS):
        for begin in range(partition, series, BLOCK):
            number = np.arange(begin, min(begin + BLOCK, series), PARTITIONS)
            source, time_of = np.full(len(number), partition), np.full(len(number), time_ms)
            yield Rows(source, number, time_of, np.full(len(number), WARM_UP_VALUE), np.ones(len(number), np.bool_))


def warm_up(publisher: Publisher, singles: Singles, series: int, time_ms: int, keys: Sequence[bytes] = ()) -> int:
    """Each series once, at one time; how many events that is. `keys`: of the records, by series; none: their sources'."""
    for block in first_sight(series, time_ms):
        send(publisher, singles, block, keys)
    return series


def send(publisher: Publisher, singles: Singles, block: Rows, keys: Sequence[bytes] = ()) -> None:
    """Publish rows as single events."""
    events = singles.encoded(block.source, block.series, block.time_ms, block.value, block.good)
    names = [keys[series] for series in block.series.tolist()] if keys else [b""] * len(events)
    for who, event, key in zip(block.source.tolist(), events, names, strict=True):
        publisher.send(who, event, key)


def warm_up_ms(load: Load, end_ms: int) -> int:
    """When the first sight of its series is, ms since epoch."""
    return end_ms - round(1000 * (load.measurements - load.warming) / load.rate) - WARM_UP_BEFORE_MS


def rows(load: Load, end_ms: int) -> Iterator[Rows]:
    """The single events of a load without its warm-up, block by block."""
    rng = np.random.default_rng(load.seed)
    left = load.measurements - load.warming
    for begin in range(0, left, BLOCK):
        number = np.arange(begin, min(begin + BLOCK, left))
        count = len(number)
        source = number % SOURCES
        time_ms = end_ms - ((left - number) * (1000 / load.rate)).astype(np.int64)
        series = series_of(rng, load.series, source)
        value, good = rng.lognormal(3.0, 1.0, count), rng.random(count) >= BAD_SHARE
        if load.disorder:
            time_ms -= np.where(rng.random(count) < load.disorder, rng.integers(1, DISORDER_MS, count), 0)
        if load.hot:
            series[rng.random(count) < load.hot] = HOT_SERIES
        yield Rows(source, series, time_ms, value, good)


def _singles(publisher: Publisher, load: Load, end_ms: int) -> None:
    singles = Singles(load.series)
    keys = keys_of(load.series) if load.keyed else []
    if load.warm_up:
        warm_up(publisher, singles, load.series, warm_up_ms(load, end_ms), keys)
    for block in rows(load, end_ms):
        send(publisher, singles, block, keys)


def _batches(publisher: Publisher, load: Load, rng: np.random.Generator, end_ms: int) -> None:
    messages = load.measurements // load.batch
    width = min(SERIES_IN_BATCH, load.series)
    groups = [[entry(first + i) for i in range(width)] for first in range(0, load.series - width + 1, width)]
    sources = [Producer(f"source-{number}", "boot") for number in range(SOURCES)]
    for number in range(messages):
        source = number % SOURCES
        base_ms = end_ms - BATCH_SPREAD_MS - round((messages - number) * load.batch * 1000 / load.rate)
        value = encode_batch(
            groups[number // SOURCES % len(groups)],
            RESOURCE,
            sources[source],
            base_ms=base_ms,
            series=rng.integers(0, width, load.batch),
            delta_ms=np.sort(rng.integers(0, BATCH_SPREAD_MS, load.batch)),
            value=rng.lognormal(3.0, 1.0, load.batch),
            outcome=rng.random(load.batch) >= BAD_SHARE,
            sequence=number // SOURCES,
        )
        publisher.send(source, value)
