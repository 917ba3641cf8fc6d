"""Whatever a request holds, the loop gets back to the others soon; and elements without end are refused."""

from __future__ import annotations

import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar

from gateway.cumulative import Streams
from gateway.identity import ANYBODY
from gateway.otlp.convert import converted
from gateway.otlp.wire import PROTOBUF, message_of
from gateway.refusal import Refusal
from tests.gateway.otlp.test_route import DELTA, add_sum, request


def steps_of(work) -> tuple[float, object]:
    """(longest processor time between two turns of a coroutine, s; what it returned or raised)."""
    longest = 0.0
    while True:
        began = time.thread_time()
        try:
            work.send(None)
        except StopIteration as end:
            return max(longest, time.thread_time() - began), end.value
        except Refusal as no:
            return max(longest, time.thread_time() - began), no
        longest = max(longest, time.thread_time() - began)


def hostile_bodies():
    """Requests of which one element, or very many, would hold the loop for seconds."""
    yield "resources", b"\x0a\x00" * (1 << 20)
    yield "scopes", b"\x0a\x80\x80\x80\x01" + b"\x12\x00" * (1 << 20)
    for name in ("attributes", "items", "exemplars", "buckets", "resource's attributes"):
        found, scope = request()
        point = add_sum(scope, 1)
        if name == "attributes":
            point.attributes.extend([KeyValue()] * 500_000)
        elif name == "items":
            point.attributes.add(key="k").value.array_value.values.extend([AnyValue(bool_value=True)] * 500_000)
        elif name == "exemplars":
            point.exemplars.extend([Exemplar(trace_id=b"t" * 16)] * 300_000)
        elif name == "buckets":
            metric = scope.metrics.add(name="h")
            metric.histogram.aggregation_temporality = DELTA
            metric.histogram.data_points.add(time_unix_nano=1, bucket_counts=[0] * 4_000_000)
        else:
            found.resource_metrics[0].resource.attributes.extend([KeyValue()] * 500_000)
        yield name, found.SerializeToString()


@pytest.mark.parametrize(("name", "body"), [pytest.param(*each, id=each[0]) for each in hostile_bodies()])
def test_no_body_holds_the_loop_for_long(name, body):
    message = message_of(body, PROTOBUF, ExportMetricsServiceRequest)
    longest, found = steps_of(converted(message, ANYBODY, Streams(0)))
    assert longest < 0.25
    if name in ("resources", "scopes"):
        assert found.status == 413
    else:
        taken = sum(each.points for each in found.framed)
        assert (taken, found.rejected.total()) == {"exemplars": (1, 0), "buckets": (1, 1)}.get(name, (0, 1))
