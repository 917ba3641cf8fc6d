"""`POST /api/v1/write`: Prometheus remote write, 1.0 and 2.0.

What: snappy and protobuf in, 204 when Kafka has acknowledged, with 2.0's counts of what was written. Why: a Prometheus that
scrapes already can feed us without another agent. It refuses other content types with 415, so that a sender of 2.0 falls
back to what it knows.
"""

from __future__ import annotations

import time

from aiohttp import web

from gateway.answers import as_json
from gateway.body import body_of
from gateway.cumulative import Streams
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.large import Large
from gateway.limits import KINDS, OTLP_BYTES
from gateway.memory import Budget, Share
from gateway.order import Order
from gateway.refusal import Refusal
from gateway.remotewrite.convert import NATIVE, converted, sources
from gateway.remotewrite.wire import Request, pieces, read_v1, read_v2, together

PATH = "/api/v1/write"
V2 = "io.prometheus.write.v2.Request"
KNOWN = {"": read_v1, "prometheus.WriteRequest": read_v1, V2: read_v2}


class Write:
    """The route's work."""

    def __init__(self, intake: Intake, budget: Budget, large: Large) -> None:
        self._intake = intake
        self._budget = budget
        self._large = large
        self._streams = Streams(time.time_ns())
        self._kinds: dict[str, dict[str, str]] = {}
        self._order = Order()

    async def __call__(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """204, or 400 where some of it was not taken. Raises Refusal."""
        message = _message(request.headers.get("Content-Type", ""))
        declared = request.content_length or 0
        self._intake.admit(identity, declared)
        with Share(self._budget, identity.tenant) as share:
            body = await body_of(request, share, limit=OTLP_BYTES, encoding="snappy")
            if not declared:
                self._intake.read(identity, len(body))
            share.grow(len(body))  # as objects
            written = together(await self._large.read(identity.tenant, pieces, body, KNOWN[message]))
            samples = sum(len(one.samples) for one in written.series)
            kinds = self._told(identity.tenant, written)
            async with self._order.of(await sources(written, identity)):
                async with self._large.turns(identity.tenant, len(body)):
                    found = await converted(written, identity, self._streams, kinds)
                    del written  # what it holds is twenty times the body
                await found.stored(self._intake, identity)
                self._streams.keep(found.proposed)
        if not found.rejected:
            answer = web.Response(status=204)
        else:
            answer = as_json(
                400, {"error": "partial", "detail": found.told()}
            )  # what was good is stored; do not repeat
        if message == V2:
            not_taken = found.rejected.total() - found.rejected[NATIVE]
            answer.headers["X-Prometheus-Remote-Write-Samples-Written"] = str(max(samples - not_taken, 0))
            answer.headers["X-Prometheus-Remote-Write-Histograms-Written"] = "0"
            answer.headers["X-Prometheus-Remote-Write-Exemplars-Written"] = "0"
        return answer

    def _told(self, tenant: str, written: Request) -> dict[str, str]:
        """Types by family; senders of 1.0 tell them in requests of their own, once a minute."""
        known = self._kinds.setdefault(tenant, {})
        known.update(written.kinds)
        if len(known) > KINDS or len(self._kinds) > KINDS:
            self._kinds.clear()
        return known


def _message(content_type: str) -> str:
    """The name of the message. Raises Refusal."""
    kind, _, rest = content_type.partition(";")
    parts = (part.strip().partition("=") for part in rest.split(";"))
    message = next((value.strip('"') for name, _, value in parts if name == "proto"), "")
    if kind.strip().lower() != "application/x-protobuf" or message not in KNOWN:
        raise Refusal(415, "content_type", f"application/x-protobuf is expected, proto {V2} or prometheus.WriteRequest")
    return message
