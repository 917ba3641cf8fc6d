"""Wire: bytes a measurement at the pace of a service, each flush by itself, beside OpenTelemetry's SDK.

What: a minute of a web service's requests at a steady rate, flushed each half second as the client does by default, each batch
a request of its own; the same requests in OTLP, as its SDK would send them then, and at its own interval. Why: a tight loop
fills batches to the brim, and a service does not. Time is virtual: the calls are given theirs, nobody waits. It refuses to
count what was not delivered, and headers of HTTP, which are the same for both.
"""

from __future__ import annotations

import dataclasses
import gzip
import random
from collections.abc import Iterator

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from tocsin import Client, MemoryTransport
from tocsin.wire import body

from bench.outcome import WrongOutcome
from bench.results import Figure

SERIES, BAD_SHARE, SEED = 40, 0.01, 1
RATES = (100, 1_000)  # measurements a second
FLUSH_S, SDK_S, LENGTH_S = 0.5, 60.0, 60.0  # the client's interval, the SDK's, of the load
BASE_MS = 1_700_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request of the service: when, on which route, how it went."""

    at_s: float
    route: int
    good: bool
    took_ms: float


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes a measurement, gzipped: ours, and those of OTLP at our interval and at its SDK's own."""

    rate: int
    ours: float
    otlp: float
    otlp_own: float


def requests(rate: int, length_s: float = LENGTH_S) -> list[Request]:
    """Arrivals without memory, log-normal durations."""
    chance, at_s, found = random.Random(SEED), 0.0, []
    while (at_s := at_s + chance.expovariate(rate)) < length_s:
        route, good = chance.randrange(SERIES), chance.random() >= BAD_SHARE
        found.append(Request(at_s, route, good, chance.lognormvariate(3.0, 1.0)))
    return found


def intervals(load: list[Request], every_s: float) -> Iterator[list[Request]]:
    """The requests of each interval that has any."""
    waiting: dict[int, list[Request]] = {}
    for one in load:
        waiting.setdefault(int(one.at_s / every_s), []).append(one)
    yield from waiting.values()


def batches(load: list[Request], every_s: float = FLUSH_S) -> list[bytes]:
    """What the client hands to its transport. Raises WrongOutcome."""
    transport = MemoryTransport()
    options = {"source": "web-1", "service": "shop", "version": "1", "kind": "web", "flush_interval": 3_600.0}
    with Client(transport=transport, report=False, **options) as client:  # type: ignore[arg-type]  # each is what it says
        bound = [client.outcome("http.request", unit="ms", route=f"/r{n}", method="GET").observe for n in range(SERIES)]
        for some in intervals(load, every_s):
            for one in some:
                bound[one.route](one.good, one.took_ms, None, BASE_MS + int(one.at_s * 1_000))
            if not client.flush(60):
                raise WrongOutcome(f"{client.stats}")
        if client.stats.delivered != len(load):
            raise WrongOutcome(f"{len(load):,} measurements, {client.stats}")
    return [value for _, value in transport.records]


def exports(load: list[Request], every_s: float) -> list[bytes]:
    """What OpenTelemetry's SDK would post: a histogram by route and outcome, delta. Raises WrongOutcome."""
    reader = InMemoryMetricReader(preferred_temporality={Histogram: AggregationTemporality.DELTA})
    named = {"service.name": "shop", "service.version": "1", "service.instance.id": "web-1"}
    provider = MeterProvider([reader], resource=Resource.create(named), shutdown_on_exit=False)
    histogram = provider.get_meter("shop").create_histogram("http.request", "ms")
    found, count = [], 0
    for some in intervals(load, every_s):
        for one in some:
            labels = {"route": f"/r{one.route}", "method": "GET", "outcome": "good" if one.good else "bad"}
            histogram.record(one.took_ms, labels)
        request = encode_metrics(reader.get_metrics_data())
        points = request.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points
        count += sum(point.count for point in points)
        found.append(request.SerializeToString())
    provider.shutdown()
    if count != len(load):
        raise WrongOutcome(f"{len(load):,} measurements, {count:,} in the exports")
    return found


def sizes(rate: int, length_s: float = LENGTH_S) -> Sizes:
    """Of one rate. Raises WrongOutcome."""
    load = requests(rate, length_s)
    ours = sum(len(body([value])) for value in batches(load))
    otlp, own = (sum(len(gzip.compress(value)) for value in exports(load, every_s)) for every_s in (FLUSH_S, SDK_S))
    return Sizes(rate, ours / len(load), otlp / len(load), own / len(load))


def figures() -> list[Figure]:
    """Two for each rate; they have no goal."""
    return [figure for rate in RATES for figure in drawn(sizes(rate))]


def drawn(found: Sizes) -> list[Figure]:
    """The figures of one rate."""
    told = (
        f"a request each {FLUSH_S:g} s, gzip, {SERIES} series, every value; OpenTelemetry's SDK then {found.otlp:.1f}"
    )
    other = (
        f"OTLP/HTTP protobuf, gzip, delta histograms by route and outcome each {FLUSH_S:g} s, single values gone; each "
        f"{SDK_S:g} s, its default, {found.otlp_own:.2f}, and what it says is that much later"
    )
    return [
        Figure(f"client_bytes_per_measurement_{found.rate}_per_s", "bytes", (found.ours,), "", told),
        Figure(f"otlp_bytes_per_measurement_{found.rate}_per_s", "bytes", (found.otlp,), "", other),
    ]
