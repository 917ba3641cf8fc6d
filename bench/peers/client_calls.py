"""What a recording call and an import cost, for one client library: `python client_calls.py LIBRARY`, one line of JSON.

What: a bound timing (or what the library has that is nearest) and a bound counter, each called in blocks; the median of
the blocks in ns a call, the loop's own cost taken off. Why: a process for each, so that none sees another's threads. It
refuses to favour ours: its background thread encodes and delivers meanwhile, as it does in life, and a run in which
anything was refused does not count.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

BLOCKS, CALLS = 1_000, 500
PAUSE_S = 0.002  # between two blocks: no service calls for ever
LABELS = {"route": "/cart", "method": "POST", "region": "eu"}
LATENCY = 12.75

OURS: dict[str, Any] = {}  # the client, when it is ours


def tocsin_calls() -> tuple[Callable[[], object], Callable[[], object]]:
    """An outcome with its duration, and a counter; every batch is taken at once."""
    import tocsin

    class Taken:
        def send(self, key: bytes, value: bytes, on_result: tocsin.OnResult) -> None:
            on_result(None)

        def flush(self, timeout: float) -> int:
            return 0

    client = tocsin.Client(source="bench", service="shop", kind="web", transport=Taken())
    OURS["client"] = client
    outcome, counter = client.outcome("http.request", unit="ms", **LABELS), client.counter("http.sent", **LABELS)
    return lambda: outcome.observe(True, LATENCY), lambda: counter.add(1)


def opentelemetry_calls() -> tuple[Callable[[], object], Callable[[], object]]:
    """It has no bound instruments: the attributes are a dictionary that is made once."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    meter = MeterProvider([InMemoryMetricReader()]).get_meter("bench")
    histogram, counter = meter.create_histogram("http.request", "ms"), meter.create_counter("http.sent")
    return lambda: histogram.record(LATENCY, LABELS), lambda: counter.add(1, LABELS)


def prometheus_calls() -> tuple[Callable[[], object], Callable[[], object]]:
    """Bound children; nothing scrapes."""
    import prometheus_client

    histogram = prometheus_client.Histogram("http_request", "x", list(LABELS)).labels(**LABELS)
    counter = prometheus_client.Counter("http_sent", "x", list(LABELS)).labels(**LABELS)
    return lambda: histogram.observe(LATENCY), lambda: counter.inc(1)


def statsd_calls() -> tuple[Callable[[], object], Callable[[], object]]:
    """It has no labels: they are part of the name. A socket takes the datagrams, and nobody reads them."""
    import statsd

    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    client: Any = statsd.StatsClient("127.0.0.1", sink.getsockname()[1])
    client.sink = sink  # lives as long as the client
    name = "http.request." + ".".join(LABELS.values())
    return lambda: client.timing(name, LATENCY), lambda: client.incr(name)


CALLS_OF = {
    "tocsin": tocsin_calls,
    "opentelemetry": opentelemetry_calls,
    "prometheus": prometheus_calls,
    "statsd": statsd_calls,
}


def blocks(call: Callable[[], object]) -> list[float]:
    """What a call costs in ns, of each block."""
    found = []
    for _ in range(BLOCKS):
        began = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        found.append((time.perf_counter_ns() - began) / CALLS)
        time.sleep(PAUSE_S)
    return found


def nothing() -> None:
    """What the loop itself costs is what this costs."""


def main(library: str) -> None:
    """Measure and tell."""
    timing, counter = CALLS_OF[library]()
    for call in (timing, counter, nothing):
        for _ in range(5_000):
            call()
    empty = statistics.median(blocks(nothing))
    told = {"timing_ns": statistics.median(blocks(timing)) - empty}
    told["counter_ns"] = statistics.median(blocks(counter)) - empty
    told["refused"] = sum(client.stats.refused.values()) if (client := OURS.get("client")) else 0
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
