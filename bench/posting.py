"""Posting: batches of telemetry to a gateway over HTTP, from a process of its own.

    python -m bench.posting '{"url": "...", "source": "...", "requests": 1000, ...}'

What: bodies are made before "go", each record with a sequence of its own; then some connections post them, in a closed loop
or at a steady rate. Latency counts from the moment at which a request was due, whether or not a connection was free.
Why due times: clients that wait for each other must not hide the delay (coordinated omission). It refuses to try again:
what was not stored is in the facts.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import json
import sys
import time
import urllib.parse
from collections.abc import Iterator

import numpy as np
from tocsin.wire import body

from bench.child import await_go
from gateway.parts import ONE, SEVERAL
from gateway.telemetry import PATH
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch
from schemas.records import MeasureKind

BATCH = 500  # measurements
SERIES = 10
SOURCES = 16
SHAPES = 64  # different batches; beyond them only source and sequence change
BASE_MS = 1_700_000_000_000
END_OF_HEAD = b"\r\n\r\n"


@dataclasses.dataclass(frozen=True)
class Order:
    """What to post. `rate`: requests a second by all connections together, 0: as fast as answers come. `folded`: gzip,
    as the client library does."""

    url: str
    source: str  # what the sources' names begin with; a sequence is never used twice under one
    requests: int
    records: int = 1  # in a request
    connections: int = 8
    rate: float = 0.0
    folded: bool = False
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class Posted:
    """What came of it. Latencies in ms, of all answers; `statuses` of HTTP, by their number."""

    seconds: float
    stored: int  # records
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    max_ms: float
    cores: float  # that this process kept busy

    @property
    def per_s(self) -> float:
        """Measurements."""
        return self.stored * BATCH / self.seconds


def shapes(seed: int, count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(series, delta_ms, value) of batches; values as durations in ms are: log-normal, of three digits."""
    rng = np.random.default_rng(seed)
    return [
        (
            rng.integers(0, SERIES, BATCH),
            np.sort(rng.integers(0, 1_000, BATCH)),
            np.round(rng.lognormal(3.0, 1.0, BATCH), 3),
        )
        for _ in range(count)
    ]


def bodies(order: Order) -> Iterator[bytes]:
    """Of all requests."""
    entries = [SeriesEntry("http.request", MeasureKind.HISTOGRAM, "ms", {"route": f"/r{n}"}) for n in range(SERIES)]
    resource = Resource("shop", "2.1", "prod", "eu")
    made = shapes(order.seed, min(SHAPES, order.requests * order.records))
    for request in range(order.requests):
        records = []
        for number in range(request * order.records, (request + 1) * order.records):
            producer = Producer(f"{order.source}-{number % SOURCES}", "bench")
            series, delta_ms, value = made[number % len(made)]
            records.append(
                encode_batch(
                    entries, resource, producer,
                    base_ms=BASE_MS, series=series, delta_ms=delta_ms, value=value, sequence=number // SOURCES,
                )
            )  # fmt: skip
        if order.folded:
            yield body(records)
        elif order.records == 1:
            yield records[0]
        else:
            yield b"".join(len(record).to_bytes(4, "big") + record for record in records)


class Poster:
    """All connections, and what they saw."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.stopped = False
        parts = urllib.parse.urlsplit(order.url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        kind = ONE if order.records == 1 and not order.folded else SEVERAL
        folded = "Content-Encoding: gzip\r\n" if order.folded else ""
        self._head = f"POST {PATH} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {kind}\r\n{folded}Content-Length: "
        self._work = [f"{self._head}{len(data)}\r\n\r\n".encode() + data for data in bodies(order)]
        self._next = 0
        self._late: list[float] = []
        self._stored = 0
        self._statuses: collections.Counter[int] = collections.Counter()

    async def run(self) -> Posted:
        """Post everything."""
        busy, begun = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.order.connections):
                group.create_task(self._connection(begun))
        seconds = time.perf_counter() - begun
        late = np.array(self._late or [0.0]) * 1e3
        return Posted(
            seconds, self._stored, {str(status): count for status, count in self._statuses.items()},
            float(np.quantile(late, 0.5)), float(np.quantile(late, 0.99)), float(late.max()),
            (time.process_time() - busy) / seconds,
        )  # fmt: skip

    async def _connection(self, begun: float) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        while self._next < len(self._work) and not self.stopped:
            number, self._next = self._next, self._next + 1
            due = time.perf_counter()
            if self.order.rate:
                due = begun + number / self.order.rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(self._work[number])
            status, keep = await self._answer(reader)
            self._late.append(time.perf_counter() - due)
            self._statuses[status] += 1
            if not keep:
                writer.close()
                reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bool]:
        """(status, whether the connection stays)."""
        head = (await reader.readuntil(END_OF_HEAD)).lower()
        status = int(head.split(b" ", 2)[1])
        size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        text = await reader.readexactly(size)
        if status == 200:
            self._stored += int(json.loads(text)["stored"])
        return status, b"connection: close" not in head


def main(said: str) -> None:
    """The process."""
    poster = Poster(Order(**json.loads(said)))

    def stop() -> None:
        poster.stopped = True

    if await_go(poster.order.requests, stop):
        print(json.dumps(dataclasses.asdict(asyncio.run(poster.run()))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
