"""Convert: an export request to framed records, and what was not taken of it.

What: each resource is a source, each point goes through `points`; reasons are counted, and the first of them are told.
Why: a bad point costs itself, and the rest of the request is stored. It refuses points of a resource that names no source
which the credentials allow.
"""

from __future__ import annotations

import asyncio

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from gateway.cumulative import Point, Streams
from gateway.foreign import Gathered, Unfit
from gateway.identity import Identity
from gateway.limits import TURN_POINTS
from gateway.otlp.attributes import resource_of, source_of, texts_of
from gateway.otlp.points import Context, points_of, values_of
from gateway.rows import Rows

_NS_PER_MS = 1_000_000


async def converted(request: ExportMetricsServiceRequest, identity: Identity, streams: Streams) -> Gathered:
    """All of a request; others get their turn in between."""
    out = Gathered()
    for found in request.resource_metrics:
        await _resource(found, identity, streams, out)
    return out


async def _resource(found: ResourceMetrics, identity: Identity, streams: Streams, out: Gathered) -> None:
    texts = texts_of(found.resource.attributes)
    source, resource = source_of(texts, identity), resource_of(texts)
    labels = {"service", "version", "environment", "region"}
    owner = (identity.tenant, source, tuple(sorted(texts.items())))
    context = Context(
        streams, out.proposed, owner, streams.since(owner),
        frozenset(name for name in labels if getattr(resource, name)),
    )  # fmt: skip
    rows = Rows(source, resource)
    newest = 0
    turn = 0
    for scope, metric in ((one, metric) for one in found.scope_metrics for metric in one.metrics):
        context.scope = f"{scope.scope.name} {scope.scope.version}"
        which, points = points_of(metric)
        for point in points:
            turn += 1
            if turn % TURN_POINTS == 0:
                await asyncio.sleep(0)
            try:
                if not source:
                    raise Unfit("the resource names no source: set service.instance.id or service.name")
                values = values_of(metric, which, point, context)
            except Unfit as no:
                out.rejected[str(no)] += 1
                continue
            newest = max(newest, point.time_unix_nano)
            if values is not None:
                series, numbers, exemplars = values
                rows.add(series, point.time_unix_nano // _NS_PER_MS, numbers, exemplars)
    rows.close()
    out.framed += rows.framed
    if newest:
        out.proposed[owner] = Point(0, max(newest, context.since), 0.0)
