"""Whatever a request holds, the loop gets back to the others soon; and elements without end are refused."""

from __future__ import annotations

import functools
import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from gateway.cumulative import Streams
from gateway.identity import ANYBODY
from gateway.otlp import convert
from gateway.otlp.convert import converted
from gateway.otlp.wire import PROTOBUF, message_of
from gateway.refusal import Refusal
from gateway.turn import Turn
from tests.gateway.otlp.test_route import DELTA, add_sum, request

MANY = 3_000_000


def steps_of(work) -> tuple[float, object]:
    """(longest processor time between two turns of a coroutine, s; what it returned or raised)."""
    longest = 0.0
    while True:
        began = time.thread_time()
        try:
            work.send(None)
        except StopIteration as end:
            return max(longest, time.thread_time() - began), end.value
        longest = max(longest, time.thread_time() - began)


def hostile_bodies():
    """(name, request, its one reason) where one element would hold the loop for a second and more."""
    for name, reason in (
        ("attributes", "more than 1024 attributes"),
        ("resource's attributes", "the resource: more than 1024 attributes"),
        ("items", "label 'k' is too long: 64 and 256 characters"),
        ("exemplars", None),
        ("buckets", "more than 1024 buckets"),
    ):
        found, scope = request()
        if name == "attributes":
            add_sum(scope, 1).MergeFromString(b"\x3a\x00" * MANY)
        elif name == "resource's attributes":
            add_sum(scope, 1)
            found.resource_metrics[0].resource.MergeFromString(b"\x0a\x00" * MANY)
        elif name == "items":
            items = add_sum(scope, 1).attributes.add(key="k").value.array_value
            items.MergeFromString(b"\x0a\x00" * MANY)
        elif name == "exemplars":
            add_sum(scope, 1).MergeFromString(b"\x2a\x00" * MANY)
        else:
            metric = scope.metrics.add(name="h")
            metric.histogram.aggregation_temporality = DELTA
            metric.histogram.data_points.add(time_unix_nano=1, bucket_counts=[0] * MANY)
        yield name, found.SerializeToString(), reason


@pytest.mark.parametrize(("body", "reason"), [pytest.param(*each[1:], id=each[0]) for each in hostile_bodies()])
def test_no_body_holds_the_loop_for_long(body, reason):
    message = message_of(body, PROTOBUF, ExportMetricsServiceRequest)
    longest, found = steps_of(converted(message, ANYBODY, Streams(0)))
    assert longest < 0.25
    if reason is None:
        assert (sum(each.points for each in found.framed), found.rejected.total()) == (1, 0)
    else:
        assert dict(found.rejected) == {reason: 1}


@pytest.mark.parametrize(
    "body",
    [b"\x0a\x00" * 1_001, b"\x0a\xd2\x0f" + b"\x12\x00" * 1_001, b"\x0a\xd5\x0f\x12\xd2\x0f" + b"\x12\x00" * 1_001],
    ids=["resources", "scopes", "metrics"],
)
async def test_elements_of_two_bytes_are_counted_too(body, monkeypatch):
    monkeypatch.setattr(convert, "Turn", functools.partial(Turn, 1_000))
    message = message_of(body, PROTOBUF, ExportMetricsServiceRequest)
    with pytest.raises(Refusal) as caught:
        await converted(message, ANYBODY, Streams(0))
    assert caught.value.status == 413
