"""`POST /v1/metrics`: OTLP over HTTP, so that any OpenTelemetry SDK or Collector can send.

What: protobuf or JSON, partial success where points were not taken, google.rpc.Status where the request was not. Why: the
specification says which answers a sender may repeat after; the same bytes again, after an answer that was lost, are known
and not counted twice by the gateway that took them. It refuses an answer in another encoding than the request's.
"""

from __future__ import annotations

import contextlib
import hashlib
import time

from aiohttp import web
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from gateway import selfmetrics
from gateway.answers import refusal_answer
from gateway.body import body_of
from gateway.cumulative import Streams
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.large import Large
from gateway.limits import JSON_BYTES, OTLP_BYTES
from gateway.memory import Budget, Share
from gateway.order import Order
from gateway.otlp.convert import converted, sources
from gateway.otlp.wire import JSON, KINDS, PROTOBUF, as_protobuf, encoded, message_of, status
from gateway.recent import Recent
from gateway.refusal import Refusal

PATH = "/v1/metrics"


class Metrics:
    """The route's work."""

    def __init__(self, intake: Intake, budget: Budget, large: Large) -> None:
        self._intake = intake
        self._budget = budget
        self._large = large
        self._streams = Streams(time.time_ns())
        self._recent = Recent()
        self._order = Order()

    async def __call__(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """Full or partial success. Raises Refusal."""
        kind = kind_of(request)
        with Share(self._budget, identity.tenant) as share:
            body = await body_in(request, kind, identity, share, self._intake)
            known = (identity.tenant, identity.name, hashlib.blake2b(body, digest_size=16).hexdigest(), 0)
            if body and known in self._recent:
                return _answer(0, "", kind)
            share.grow(len(body))  # as objects
            data = await protobuf_of(body, kind, ExportMetricsServiceRequest, identity.tenant, self._large)
            async with contextlib.AsyncExitStack() as order:
                async with self._large.turns(identity.tenant, len(data)):
                    message = message_of(data, PROTOBUF, ExportMetricsServiceRequest)
                    await order.enter_async_context(self._order.of(await sources(message, identity)))
                    found = await converted(message, identity, self._streams)
                    del message  # what it holds is thirty times the body
                await found.stored(self._intake, identity)
                selfmetrics.MEMORY.set(self._budget.used)
                self._streams.keep(found.proposed)
            self._recent.add(known)
        return _answer(found.rejected.total(), found.told(), kind)


def kind_of(request: web.BaseRequest) -> str:
    """Which of the two encodings. Raises Refusal."""
    kind = request.content_type
    if kind not in KINDS:
        raise Refusal(415, "content_type", f"{kind[:40]!r}; known are {PROTOBUF} and {JSON}")
    return kind


async def body_in(request: web.BaseRequest, kind: str, identity: Identity, share: Share, intake: Intake) -> bytes:
    """The body of a request that is within the quotas. Raises Refusal."""
    declared = request.content_length or 0
    intake.admit(identity, declared)
    body = await body_of(request, share, limit=OTLP_BYTES if kind == PROTOBUF else JSON_BYTES)
    if not declared:
        intake.read(identity, len(body))
    return body


async def protobuf_of(body: bytes, kind: str, form: type[Message], tenant: str, large: Large) -> bytes:
    """The body as protobuf: reading that is quick, and reading JSON is not. Raises Refusal."""
    if kind == PROTOBUF:
        return body
    (found,) = await large.read(tenant, as_protobuf, body, form)
    return found


def _answer(rejected: int, message: str, kind: str) -> web.Response:
    """200: in full, or in part where points were rejected or there is something to say."""
    found = ExportMetricsServiceResponse()
    if rejected or message:
        found.partial_success.rejected_data_points = rejected
        found.partial_success.error_message = message
    return web.Response(body=encoded(found, kind), content_type=kind)


def refused(request: web.BaseRequest, refusal: Refusal) -> web.Response:
    """A google.rpc.Status in the request's encoding; other headers as everywhere."""
    kind = request.content_type if request.content_type in KINDS else PROTOBUF
    answer = refusal_answer(refusal)
    answer.body = status(refusal, kind)
    answer.content_type = kind
    return answer
