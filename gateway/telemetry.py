"""`POST /v1/telemetry`: our own batches, as Avro or JSON.

What: a body to records by content type, each judged by itself, all good ones acknowledged by Kafka before 200. Why: it
is the door for the client library, for browsers and for whoever has curl. It refuses other content types with 415.
"""

from __future__ import annotations

from aiohttp import web

from gateway import parts, selfmetrics
from gateway.answers import verdicts_answer
from gateway.body import body_of
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.jsonbatch import records
from gateway.large import Large
from gateway.limits import JSON_BYTES, UNFOLDED_BYTES
from gateway.memory import Budget, Share
from gateway.refusal import Refusal
from gateway.verdicts import Verdict

PATH = "/v1/telemetry"


class Telemetry:
    """The route's work."""

    def __init__(self, intake: Intake, budget: Budget, large: Large) -> None:
        self._intake = intake
        self._budget = budget
        self._large = large

    async def __call__(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """Verdicts, one a record. Raises Refusal."""
        kind = request.content_type
        if kind not in (parts.ONE, parts.SEVERAL) and kind not in parts.JSON:
            known = ", ".join((parts.ONE, parts.SEVERAL, *sorted(parts.JSON)))
            raise Refusal(415, "content_type", f"{kind[:40]!r}; known are {known}")
        declared = request.content_length or 0
        self._intake.admit(identity, declared)
        with Share(self._budget, identity.tenant) as share:
            body = await body_of(request, share, limit=JSON_BYTES if kind in parts.JSON else UNFOLDED_BYTES)
            if not declared:
                self._intake.read(identity, len(body))
            selfmetrics.MEMORY.set(self._budget.used)
            return verdicts_answer(await self._intake.take(identity, await self._records(kind, body, identity)))

    async def _records(self, kind: str, body: bytes, identity: Identity) -> list[bytes | Verdict]:
        if kind == parts.ONE:
            return [body]
        if kind == parts.SEVERAL:
            return list(parts.several(body))
        return await self._large.read(identity.tenant, records, body, identity)
