"""Convert: an export request to framed records, and what was not taken of it.

What: each resource is a source, each point goes through `points`; reasons are counted, and the first of them are told.
Why: a bad point costs itself, and the rest of the request is stored. It refuses points of a resource that names no source
which the credentials allow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics

from gateway.cumulative import Point, Streams
from gateway.foreign import Gathered, Unfit
from gateway.identity import Identity
from gateway.order import Source
from gateway.otlp.attributes import Owner, owner_of, resource_of
from gateway.otlp.points import Context, points_of, values_of
from gateway.rows import Rows
from gateway.turn import Turn

_NS_PER_MS = 1_000_000


async def converted(request: ExportMetricsServiceRequest, identity: Identity, streams: Streams) -> Gathered:
    """All of a request; others get their turn in between. Raises Refusal where it has too many elements."""
    out, turn = Gathered(), Turn()
    for found in request.resource_metrics:
        await turn.next()
        if found.scope_metrics:
            await _resource(found, owner_of(found.resource.attributes, identity), identity.tenant, streams, out, turn)
    return out


async def sources(request: ExportMetricsServiceRequest, identity: Identity) -> set[Source]:
    """Of all resources: what comes from one of them is to be counted in order. Raises Refusal."""
    found, turn = set(), Turn()
    for one in request.resource_metrics:
        await turn.next()
        found.add((identity.tenant, owner_of(one.resource.attributes, identity).source))
    return found


async def _resource(
    found: ResourceMetrics, owner: Owner, tenant: str, streams: Streams, out: Gathered, turn: Turn
) -> None:
    resource = resource_of(owner.texts)
    labels = {"service", "version", "environment", "region"}
    stream = (tenant, owner.source, tuple(sorted(owner.texts.items())))
    context = Context(
        streams, out.proposed, stream, streams.since(stream),
        frozenset(name for name in labels if getattr(resource, name)),
    )  # fmt: skip
    rows = Rows(owner.source, resource)
    newest = 0
    async for metric in _metrics(found, context, turn):
        which, points = points_of(metric)
        for point in points:
            await turn.next()
            try:
                if owner.fault:
                    raise Unfit(owner.fault)
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
        out.proposed[stream] = Point(0, max(newest, context.since), 0.0)


async def _metrics(found: ResourceMetrics, context: Context, turn: Turn) -> AsyncIterator[Metric]:
    """The metrics of all scopes; the context knows each one's scope."""
    for scope in found.scope_metrics:
        await turn.next()
        context.scope = f"{scope.scope.name} {scope.scope.version}"
        for metric in scope.metrics:
            await turn.next()
            yield metric
