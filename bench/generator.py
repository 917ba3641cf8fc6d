"""Generator: single events in real time at a steady rate, from a process of its own.

    python -m bench.generator '{"bootstrap": "...", "rate": 50000, ...}'

What: on "go" on standard input it publishes `rate` events a second for `seconds`, or until "stop"; an event's time is
the moment at which it was due, whether or not the process was late. With `burn_gap_s`, route after route goes bad and
stays so. It leaves what it published in `out` (npz: times, routes, good) and ends with one line of facts. Why a process: a
generator that shares an interpreter with its measurer slows with it. Why due times: a generator that falls behind must
not hide the delay (coordinated omission). It refuses to report when a record is not acknowledged.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import prometheus_client
from numpy.typing import NDArray

from bench.child import Child, await_go, child
from bench.rig import Rig
from bench.workloads import BAD_SHARE, ROUTES, SOURCES, Publisher, Singles, keys_of, series_of, warm_up

TICK_S = 0.01
LINGER_MS = 5
BURNING_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Pace:
    """What to publish. `burn_lead_s`: before the first route goes bad; `burn_gap_s`: between two routes, 0: none does."""

    rate: int
    seconds: float
    series: int
    burn_lead_s: float = 0.0
    burn_gap_s: float = 0.0
    warm_up: bool = False
    seed: int = 11
    bad_share: float = BAD_SHARE  # of a route that is well
    ratios: Sequence[float] = (BURNING_SHARE,)  # of a route that has gone bad: route by route, and again
    keyed: bool = False  # the record's key is its series, as in workloads.Load
    expose_port: int = 0  # where Prometheus finds counters of the same events; 0: nowhere


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a generator did. `behind_p99_ms`, `behind_max_ms`: of its ticks, against their due times."""

    begun_ms: int
    published: int
    per_s: float
    behind_p99_ms: float
    behind_max_ms: float


@dataclasses.dataclass(frozen=True)
class Published:
    """Every paced event, ordered by time. Shapes (n,)."""

    time_ms: NDArray[np.int64]
    route: NDArray[np.int64]
    good: NDArray[np.bool_]

    def of_route(self, route: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(times, good) of one route's events."""
        rows = np.flatnonzero(self.route == route)
        return self.time_ms[rows], self.good[rows]


def burning(pace: Pace, route: NDArray[np.int64], elapsed_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which events belong to a route that has gone bad by then. Shapes (n,)."""
    if not pace.burn_gap_s:
        return np.zeros(len(route), np.bool_)
    return np.asarray(elapsed_s >= pace.burn_lead_s + route * pace.burn_gap_s)


def bad_shares(pace: Pace, route: NDArray[np.int64], elapsed_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely each event is bad. Shapes (n,)."""
    burns = np.asarray(pace.ratios, np.float64)[route % len(pace.ratios)]
    return np.where(burning(pace, route, elapsed_s), burns, pace.bad_share)


class Exposed:
    """The published events as counters by route, for Prometheus to scrape; all there, at 0, before the first event."""

    def __init__(self, port: int, routes: int) -> None:
        registry = prometheus_client.CollectorRegistry()
        bad = prometheus_client.Counter("bench_bad", "bad events", ["route"], registry=registry)
        total = prometheus_client.Counter("bench_events", "events", ["route"], registry=registry)
        self._bad, self._total = ([of.labels(f"/route/{route}") for route in range(routes)] for of in (bad, total))
        prometheus_client.start_http_server(port, "127.0.0.1", registry)

    def add(self, route: NDArray[np.int64], good: NDArray[np.bool_]) -> None:
        """Events that have just been published."""
        for counters, of in ((self._total, route), (self._bad, route[~good])):
            counts = np.bincount(of)
            for number in np.flatnonzero(counts).tolist():
                counters[number].inc(int(counts[number]))


class Paced:
    """A run of the generator, in its own process."""

    def __init__(self, pace: Pace, publisher: Publisher, singles: Singles) -> None:
        self.pace, self._publisher, self._singles = pace, publisher, singles
        self._keys = keys_of(pace.series) if pace.keyed else []
        self._rng = np.random.default_rng(pace.seed)
        self._kept: list[Published] = []
        self._behind_ms: list[float] = []
        self.stopped = threading.Event()
        self._exposed = Exposed(pace.expose_port, min(pace.series, ROUTES)) if pace.expose_port else None

    def run(self, begun_s: float) -> Facts:
        """Publish from `begun_s` (seconds since epoch) on."""
        done, total = 0, int(self.pace.rate * self.pace.seconds)
        while done < total and not self.stopped.is_set():
            elapsed = time.time() - begun_s
            due = min(int(elapsed * self.pace.rate), total)
            if due > done:
                self._behind_ms.append(1000 * (elapsed - done / self.pace.rate))
                self._tick(begun_s, done, min(due, done + self.pace.rate // 10))
                done = min(due, done + self.pace.rate // 10)
            self._publisher.poll()
            time.sleep(max(0.0, TICK_S - (time.time() - begun_s - done / self.pace.rate)))
        seconds = time.time() - begun_s
        self._publisher.done()
        behind = np.array(self._behind_ms or [0.0])
        p99, most = float(np.quantile(behind, 0.99)), float(behind.max())
        return Facts(round(begun_s * 1000), done, done / seconds, p99, most)

    def _tick(self, begun_s: float, first: int, end: int) -> None:
        number = np.arange(first, end)
        elapsed = number / self.pace.rate
        source = number % SOURCES
        series = series_of(self._rng, self.pace.series, source)
        route = series % ROUTES
        good = self._rng.random(len(number)) >= bad_shares(self.pace, route, elapsed)
        time_ms = ((begun_s + elapsed) * 1000).astype(np.int64)
        value = self._rng.lognormal(3.0, 1.0, len(number))
        names = [self._keys[each] for each in series.tolist()] if self._keys else [b""] * len(number)
        events = self._singles.encoded(source, series, time_ms, value, good)
        for who, event, key in zip(source.tolist(), events, names, strict=True):
            self._publisher.send(who, event, key)
        self._kept.append(Published(time_ms, route, good))
        if self._exposed is not None:
            self._exposed.add(route, good)

    def kept(self) -> Published:
        """All that was published at the pace."""
        blocks = self._kept
        return Published(
            np.concatenate([block.time_ms for block in blocks]),
            np.concatenate([block.route for block in blocks]),
            np.concatenate([block.good for block in blocks]),
        )


class Generator:
    """The generator as seen from the process that measures."""

    def __init__(self, process: Child, out: pathlib.Path) -> None:
        self._process, self._out = process, out
        self.warming = int(process.ready)  # measurements published before "go"

    def go(self) -> None:
        """Begin."""
        self._process.go()

    def stop(self) -> Facts:
        """End before the time is up; what was done. Raises RuntimeError when it failed."""
        return Facts(**self._process.stop())

    def facts(self) -> Facts:
        """Wait for the end; what was done. Raises RuntimeError when it failed."""
        return Facts(**self._process.facts())

    def published(self) -> Published:
        """Every event; after `facts`."""
        with np.load(self._out) as found:
            return Published(found["time_ms"], found["route"], found["good"])


@contextlib.contextmanager
def generator(rig: Rig, pace: Pace) -> Iterator[Generator]:
    """A generator that has warmed up and waits for `go`; killed at the end if it still runs."""
    out = rig.directory / f"{rig.name('generator')}.npz"
    order = {"bootstrap": rig.bootstrap, "out": str(out), "pace": dataclasses.asdict(pace)}
    with child("bench.generator", order) as process:
        yield Generator(process, out)


def main(said: str) -> None:
    """The process."""
    order = json.loads(said)
    pace = Pace(**order["pace"])
    publisher, singles = Publisher(order["bootstrap"], LINGER_MS), Singles(pace.series)
    keys, now_ms = keys_of(pace.series) if pace.keyed else [], time.time_ns() // 1_000_000
    warmed = warm_up(publisher, singles, pace.series, now_ms, keys) if pace.warm_up else 0
    publisher.done()
    paced = Paced(pace, publisher, singles)
    if not await_go(warmed, paced.stopped.set):
        return
    facts = paced.run(time.time())
    kept = paced.kept()
    np.savez(order["out"], time_ms=kept.time_ms, route=kept.route, good=kept.good)
    print(json.dumps(dataclasses.asdict(facts)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
