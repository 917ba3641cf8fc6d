"""OTLP over HTTP: both encodings, partial success, errors, and a real SDK whose numbers arrive exactly."""

from __future__ import annotations

import asyncio
import gzip
import json
import time

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from gateway.accesslog import AccessLog
from gateway.cumulative import Streams
from gateway.door import Door, Route, anybody
from gateway.identity import ANYBODY
from gateway.intake import Intake
from gateway.limits import LARGE_BYTES
from gateway.memory import Budget
from gateway.otlp.convert import converted
from gateway.otlp.route import PATH, Metrics, refused
from gateway.otlp.wire import JSON, PROTOBUF, message_of, status
from gateway.refusal import Refusal, busy
from gateway.verdicts import read
from schemas.records import MeasureKind
from tests.gateway.making import held_up, listening, send, until
from tests.gateway.test_intake import Kept

DELTA, CUMULATIVE = 1, 2


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
async def url(kept, large):
    route = Route("POST", Metrics(Intake(kept), Budget(64 << 20), large), refused=refused)
    async with listening(Door({PATH: route}, anybody, AccessLog("none"))) as (host, port, _):
        yield f"http://{host}:{port}{PATH}"


def request(**resource: str):
    """(request, scope) with one resource."""
    found = ExportMetricsServiceRequest()
    metrics = found.resource_metrics.add()
    for key, value in ({"service.name": "shop", "service.instance.id": "shop-1"} | resource).items():
        metrics.resource.attributes.add(key=key).value.string_value = value
    return found, metrics.scope_metrics.add()


def add_sum(scope, value, *, how=DELTA, monotonic=True, name="orders", start=0, at=None, **labels):
    metric = scope.metrics.add(name=name, unit="1")
    metric.sum.aggregation_temporality = how
    metric.sum.is_monotonic = monotonic
    point = metric.sum.data_points.add(as_int=value, time_unix_nano=at or time.time_ns(), start_time_unix_nano=start)
    for key, label in labels.items():
        point.attributes.add(key=key).value.string_value = label
    return point


def rows(kept) -> list[tuple[str, MeasureKind, dict, float]]:
    """(metric, kind, labels, value) of every measurement published."""
    found = []
    for _, value, _ in kept.records:
        row = read(value)
        for at, number in zip(row.series, row.value, strict=True):
            definition = row.definitions[at]
            found.append((definition.metric, definition.kind, dict(definition.labels), float(number)))
    return found


def partial(got) -> tuple[int, str]:
    found = ExportMetricsServiceResponse.FromString(got.body).partial_success
    return found.rejected_data_points, found.error_message


async def test_a_delta_sum_is_a_counters_increase(url, kept):
    found, scope = request(**{"service.version": "2", "deployment.environment.name": "prod", "cloud.region": "eu"})
    add_sum(scope, 5, route="/")
    got = await send(url, found.SerializeToString(), PROTOBUF)
    assert (got.status, got.headers["Content-Type"], got.body) == (200, PROTOBUF, b"")
    labels = {"service": "shop", "version": "2", "environment": "prod", "region": "eu", "route": "/"}
    assert rows(kept) == [("orders", MeasureKind.COUNTER, labels, 5.0)]
    assert kept.records[0][0] == b"shop-1"


async def test_good_points_are_stored_and_bad_ones_told(url, kept):
    found, scope = request()
    add_sum(scope, 1)
    add_sum(scope, -1)
    add_sum(scope, 1, monotonic=False)
    add_sum(scope, 1, at=1).time_unix_nano = 0
    add_sum(scope, 1, how=0)
    add_sum(scope, 1, name="")
    add_sum(scope, 1, x="v" * 300)
    scope.metrics.add(name="s").summary.data_points.add(time_unix_nano=1)
    scope.metrics.add(name="nan").gauge.data_points.add(time_unix_nano=1, as_double=float("nan"))
    scope.metrics.add(name="big").gauge.data_points.add(time_unix_nano=1, as_double=2.0**43)
    scope.metrics.add(name="gap").gauge.data_points.add(time_unix_nano=1, flags=1)
    histogram = scope.metrics.add(name="h").histogram
    histogram.aggregation_temporality = DELTA
    histogram.data_points.add(time_unix_nano=1, count=3, bucket_counts=[1, 1], explicit_bounds=[1.0])
    histogram.data_points.add(time_unix_nano=1, count=20_000, bucket_counts=[20_000, 0], explicit_bounds=[1.0])
    rejected, message = partial(await send(url, found.SerializeToString(), PROTOBUF))
    assert rejected == 11
    assert "more reasons" in message
    assert [row[:2] for row in rows(kept)] == [("orders", MeasureKind.COUNTER)]


async def test_json_with_ids_in_hexadecimal_and_numbers_as_text(url, kept):
    trace = "0af7651916cd43dd8448eb211c80319c"
    point = {
        "timeUnixNano": str(time.time_ns()), "asInt": "7", "unknownField": 1,
        "exemplars": [{"traceId": trace, "spanId": "b7ad6b7169203331", "asDouble": 7}],
    }  # fmt: skip
    body = {
        "resourceMetrics": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                "scopeMetrics": [{"metrics": [{"name": "level", "gauge": {"dataPoints": [point]}}]}],
            }
        ]
    }
    got = await send(url, gzip.compress(json.dumps(body).encode()), JSON, Content_Encoding="gzip")
    assert (got.status, got.json()) == (200, {})
    assert rows(kept) == [("level", MeasureKind.GAUGE, {"service": "shop"}, 7.0)]
    assert read(kept.records[0][1]).exemplars == [(0, bytes.fromhex(trace))]


async def test_cumulative_is_counted_once_and_a_failure_is_made_up_for(url, kept):
    began = time.time_ns()

    async def export(total, after):
        found, scope = request()
        add_sum(scope, total, how=CUMULATIVE, start=began, at=began + after)
        return (await send(url, found.SerializeToString(), PROTOBUF)).status

    assert await export(5, 1) == 200
    assert await export(5, 1) == 200
    kept.error = busy("broker", "away")
    assert await export(9, 2) == 503
    kept.error = None
    assert await export(12, 3) == 200
    assert [row[3] for row in rows(kept)] == [5.0, 7.0]


async def test_the_same_bytes_again_are_not_counted_twice(url, kept):
    found, scope = request()
    add_sum(scope, 5)
    for _ in range(2):
        assert (await send(url, found.SerializeToString(), PROTOBUF)).status == 200
    assert len(kept.records) == 1


async def test_a_sum_that_may_fall_is_a_gauge(url, kept):
    found, scope = request()
    add_sum(scope, -3, how=CUMULATIVE, monotonic=False)
    await send(url, found.SerializeToString(), PROTOBUF)
    assert [row[1::2] for row in rows(kept)] == [(MeasureKind.GAUGE, -3.0)]


async def test_a_histogram_is_its_values(url, kept):
    found, scope = request()
    histogram = scope.metrics.add(name="latency", unit="ms").histogram
    histogram.aggregation_temporality = DELTA
    histogram.data_points.add(
        time_unix_nano=time.time_ns(), count=6_000, sum=600_000.0, bucket_counts=[3_000, 3_000, 0],
        explicit_bounds=[100.0, 200.0], min=10.0, max=190.0,
    )  # fmt: skip
    assert partial(await send(url, found.SerializeToString(), PROTOBUF)) == (0, "")
    values = [row[3] for row in rows(kept)]
    assert len(values) == 6_000
    assert sum(values) == pytest.approx(600_000.0)
    assert sum(value <= 100.0 for value in values) == 3_000
    assert len(kept.records) == 2, "no record beyond the contract's limits"


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [(b"\xff\xff", PROTOBUF, 400), (b"{", JSON, 400), (b"[]", JSON, 400), (b'{"resourceMetrics": 7}', JSON, 400), (b"x", "text/x", 415)],
)  # fmt: skip
async def test_errors_are_a_status_in_the_requests_encoding(url, body, kind, code):
    got = await send(url, body, kind)
    assert got.status == code
    if kind == JSON:
        assert got.json()["code"] == 3
    else:
        assert got.headers["Content-Type"] == PROTOBUF
        assert got.body == status(Refusal(code, *_said(got.body)), PROTOBUF)


def _said(body: bytes) -> tuple[str, str]:
    reason, _, detail = body[4:].decode().partition(": ")
    return reason, detail


async def test_later_is_later(url, kept):
    kept.error = busy("broker", "away", 2)
    found, scope = request()
    add_sum(scope, 5)
    got = await send(url, found.SerializeToString(), PROTOBUF)
    assert (got.status, got.headers["Retry-After"], got.body[:2]) == (503, "2", b"\x08\x0e")


async def test_an_empty_request_is_a_success(url):
    assert (await send(url, b"", PROTOBUF)).status == 200
    assert (await send(url, b"{}", JSON)).json() == {}


async def test_a_resource_without_a_name_has_no_source(url, kept):
    found, scope = request()
    del found.resource_metrics[0].resource.attributes[:]
    add_sum(scope, 5)
    rejected, message = partial(await send(url, found.SerializeToString(), PROTOBUF))
    assert rejected == 1
    assert "names no source" in message


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_hostile_bytes(noise):
    found, scope = request()
    add_sum(scope, 5)
    good = found.SerializeToString()
    for body, kind in ((noise, PROTOBUF), (good[: len(noise)] + noise, PROTOBUF), (noise, JSON)):
        try:
            message = message_of(body, kind, ExportMetricsServiceRequest)
        except Refusal:
            continue
        asyncio.run(converted(message, ANYBODY, Streams(0)))


POINT = st.builds(
    lambda value, at, start, flags: NumberDataPoint(
        as_double=value, time_unix_nano=at, start_time_unix_nano=start, flags=flags
    ),
    st.floats(), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 3),
)  # fmt: skip


@given(
    st.lists(POINT, max_size=5),
    st.integers(0, 2),
    st.booleans(),
    st.lists(st.integers(0, 2**64 - 1), max_size=4),
    st.lists(st.floats(), max_size=4),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_odd_points_are_stored_or_rejected_and_never_raise(points, how, monotonic, counts, bounds, scale, offset):
    found, scope = request()
    odd = scope.metrics.add(name="odd")
    odd.sum.aggregation_temporality = how
    odd.sum.is_monotonic = monotonic
    odd.sum.data_points.extend(points)
    histogram = scope.metrics.add(name="h").histogram
    histogram.aggregation_temporality = how
    histogram.data_points.add(
        time_unix_nano=1,
        count=sum(counts) % 2**64,
        bucket_counts=counts,
        explicit_bounds=bounds,
        sum=1.0,
        min=2.0,
        max=1.0,
    )
    exponential = scope.metrics.add(name="e").exponential_histogram
    exponential.aggregation_temporality = how
    point = exponential.data_points.add(time_unix_nano=1, count=sum(counts) % 2**64, scale=scale)
    point.positive.offset = offset
    point.positive.bucket_counts.extend(counts)
    for one in asyncio.run(converted(found, ANYBODY, Streams(0))).framed:
        read(one.value)


@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
@pytest.mark.parametrize("exponential", [False, True])
async def test_a_real_sdk(url, kept, temporality, exponential):
    """OpenTelemetry's own Python SDK: what was recorded is what arrives."""
    await asyncio.to_thread(record, url, temporality, exponential=exponential)
    found = rows(kept)
    assert sum(row[3] for row in found if row[0] == "orders") == 2 * 30 + 7
    latency = [row[3] for row in found if row[0] == "latency"]
    assert len(latency) == 40
    assert sum(latency) == pytest.approx(sum(range(40)))
    if not exponential:
        assert sum(value <= 25 for value in latency) == 26, "exact at a bound"
    assert [row[3] for row in found if row[0] == "queue"][-1] == 3.0
    assert {row[2]["service"] for row in found} == {"shop"}


def record(url: str, temporality: str, *, exponential: bool) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
    from opentelemetry.sdk.resources import Resource

    how = AggregationTemporality.DELTA if temporality == "delta" else AggregationTemporality.CUMULATIVE
    exporter = OTLPMetricExporter(
        endpoint=url, compression=Compression.Gzip, preferred_temporality={Counter: how, Histogram: how}
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    views = (
        [View(instrument_name="latency", aggregation=ExponentialBucketHistogramAggregation())] if exponential else []
    )
    resource = Resource.create({"service.name": "shop", "service.instance.id": "shop-1"})
    provider = MeterProvider([reader], resource=resource, views=views, shutdown_on_exit=False)
    meter = provider.get_meter("test")
    orders, latency = meter.create_counter("orders"), meter.create_histogram("latency", unit="ms")
    queue = meter.create_up_down_counter("queue")
    queue.add(3)
    for turn in range(2):
        for number in range(20):
            orders.add(number % 4, {"route": f"/{number % 2}"})
            latency.record(turn * 20 + number)
        assert provider.force_flush()
    orders.add(7, {"route": "/new"})
    provider.shutdown()


def many(points: int, **resource: str) -> ExportMetricsServiceRequest:
    found, scope = request(**resource)
    for number in range(points):
        add_sum(scope, number, name=f"orders.{number % 7}", route=f"/{number % 11}")
    return found


async def test_a_large_body_of_json_is_the_same_as_of_protobuf(url, kept):
    found = many(400)
    text = json.dumps(json_format.MessageToDict(found)).encode()
    assert len(text) > LARGE_BYTES
    assert (await send(url, text, JSON)).status == 200
    from_json = rows(kept)
    kept.records.clear()
    assert (await send(url, found.SerializeToString(), PROTOBUF)).status == 200
    assert rows(kept) == from_json
    assert sum(row[3] for row in from_json) == sum(range(400))
    got = await send(url, text[:-1], JSON)
    assert (got.status, got.json()["code"]) == (400, 3)


async def test_others_are_answered_while_a_large_body_of_json_is_read(url, large):
    async with held_up(large):
        slow = asyncio.create_task(send(url, json.dumps(json_format.MessageToDict(many(400))).encode(), JSON))
        await until(large._beside._places.locked)
        small = many(3).SerializeToString()  # of the same source, too
        assert (await send(url, small, PROTOBUF)).status == 200
        assert not slow.done()
    assert (await slow).status == 200


async def test_a_source_that_waits_for_kafka_holds_up_nobody_else(url, kept):
    """Cumulative streams count on from their last point, so a source's requests follow each other; others' do not wait."""
    go = asyncio.Event()
    publish = kept.publish

    async def slowly(records):
        if records[0][0] == b"slow":
            await go.wait()
        return await publish(records)

    kept.publish = slowly
    name = "service.instance.id"
    first = asyncio.create_task(send(url, many(1, **{name: "slow"}).SerializeToString(), PROTOBUF))
    second = asyncio.create_task(send(url, many(2, **{name: "slow"}).SerializeToString(), PROTOBUF))
    async with asyncio.timeout(20):
        assert (await send(url, many(3, **{name: "quick"}).SerializeToString(), PROTOBUF)).status == 200
    assert not first.done()
    assert not second.done()
    go.set()
    assert [(await task).status for task in (first, second)] == [200, 200]
