"""`POST /v1/logs`: OpenTelemetry's log records and events over HTTP, as batches of ours.

What: each resource is a source, each log record one of ours; what cannot be taken is counted and told as partial success. Why:
whoever logs through OpenTelemetry already needs no other client. A batch's number is the hash of the request's bytes, so that
the same request, sent again after an answer that was lost, is known here and by every reader. It refuses a record that names
no source or has no time; a text that is too long is cut and told, since half a stack trace is worth more than none.
"""

from __future__ import annotations

import hashlib
from typing import Final

from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Theirs

from gateway import selfmetrics
from gateway.foreign import Gathered, Unfit
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.large import Large
from gateway.limits import LOG_BATCH_BYTES
from gateway.memory import Budget, Share
from gateway.otlp.attributes import owner_of, resource_of, text_of, texts_of
from gateway.otlp.route import body_in, kind_of, protobuf_of
from gateway.otlp.wire import PROTOBUF, encoded, message_of
from gateway.rows import Framed
from gateway.turn import Turn
from schemas import limits
from schemas.encoding import Resource
from schemas.logs import SEVERITY_MOST, LogBatch, LogRecord, encode_logs

PATH = "/v1/logs"
BOOT: Final = "otlp"
EVENT_NAME: Final = "event.name"  # where an event's name stood before it had a field
SCOPE: Final = "otel.scope.name"
_NS_PER_MS: Final = 1_000_000


class Logs:
    """The route's work."""

    def __init__(self, intake: Intake, budget: Budget, large: Large) -> None:
        self._intake = intake
        self._budget = budget
        self._large = large

    async def __call__(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """Full or partial success. Raises Refusal."""
        kind = kind_of(request)
        with Share(self._budget, identity.tenant) as share:
            body = await body_in(request, kind, identity, share, self._intake)
            share.grow(len(body))  # as objects
            data = await protobuf_of(body, kind, ExportLogsServiceRequest, identity.tenant, self._large)
            async with self._large.turns(identity.tenant, len(data)):
                message = message_of(data, PROTOBUF, ExportLogsServiceRequest)
                found, cut = await converted(message, identity, body)
                del message  # what it holds is thirty times the body
            await found.stored(self._intake, identity)
            selfmetrics.MEMORY.set(self._budget.used)
        answer = ExportLogsServiceResponse()
        told = "; ".join(filter(None, (found.told(), f"{cut} texts or attributes were cut or left out" if cut else "")))
        if told:
            answer.partial_success.rejected_log_records = found.rejected.total()
            answer.partial_success.error_message = told
        return web.Response(body=encoded(answer, kind), content_type=kind)


async def converted(request: ExportLogsServiceRequest, identity: Identity, body: bytes) -> tuple[Gathered, int]:
    """(all of a request, how much of its texts was left out); others get their turn in between. Raises Refusal."""
    out, cut, turn = Gathered(), 0, Turn()
    seed = hashlib.blake2b(body, digest_size=16).digest()
    for at, found in enumerate(request.resource_logs):
        await turn.next()
        owner = owner_of(found.resource.attributes, identity)
        batches = _Batches(owner.source, resource_of(owner.texts), b"%d" % at + seed)
        for scope in found.scope_logs:
            await turn.next()
            for theirs in scope.log_records:
                await turn.next()
                try:
                    if owner.fault:
                        raise Unfit(owner.fault)
                    record = record_of(theirs, scope.scope.name)
                    batches.add(record)
                except Unfit as no:
                    out.rejected[str(no)] += 1
                else:
                    cut += record.left_out - theirs.dropped_attributes_count
        batches.close()
        out.framed += batches.framed
    return out, cut


def record_of(theirs: Theirs, scope: str) -> LogRecord:
    """One of ours. Raises Unfit."""
    time_ms, observed_ms = (ns // _NS_PER_MS for ns in (theirs.time_unix_nano, theirs.observed_time_unix_nano))
    if not (time_ms or observed_ms):
        raise Unfit("a log record needs its time, or when it was observed")
    if not 0 <= theirs.severity_number <= SEVERITY_MOST:
        raise Unfit(f"a severity is a number from 0 to {SEVERITY_MOST}")
    texts = texts_of(theirs.attributes)
    event = theirs.event_name or texts.pop(EVENT_NAME, "")
    if scope:
        texts.setdefault(SCOPE, scope)
    kept = [
        (key, value[: limits.LOG_VALUE_CHARS]) for key, value in texts.items() if 0 < len(key) <= limits.LOG_KEY_CHARS
    ]
    body = text_of(theirs.body)
    left_out = len(texts) - len(kept[: limits.LOG_ATTRIBUTES]) + (len(body) > limits.LOG_BODY_CHARS)
    left_out += sum(len(texts[key]) > limits.LOG_VALUE_CHARS for key, _ in kept[: limits.LOG_ATTRIBUTES])
    trace = theirs.trace_id if len(theirs.trace_id) == limits.TRACE_BYTES else b""
    span = theirs.span_id if len(theirs.span_id) == limits.SPAN_BYTES else b""
    return LogRecord(
        time_ms=time_ms,
        observed_ms=observed_ms,
        severity=theirs.severity_number,
        severity_text=theirs.severity_text[: limits.SEVERITY_CHARS],
        event=event[: limits.METRIC_CHARS],
        body=body[: limits.LOG_BODY_CHARS],
        attributes=dict(kept[: limits.LOG_ATTRIBUTES]),
        trace_id=trace,
        span_id=span,
        left_out=min(left_out + theirs.dropped_attributes_count, 2**31 - 1),
    )


class _Batches:
    """Records of one resource, cut into framed batches. `seed`: what their numbers are hashed from."""

    def __init__(self, source: str, resource: Resource, seed: bytes) -> None:
        self._source, self._resource, self._seed = source, resource, hashlib.blake2b(seed, digest_size=8)
        self.framed: list[Framed] = []
        self._held: list[LogRecord] = []
        self._size = 0

    def add(self, record: LogRecord) -> None:
        """Raises Unfit."""
        texts = (record.body, record.event, *record.attributes, *record.attributes.values())
        size = sum(len(text.encode()) for text in texts) + limits.TRACE_BYTES * 4
        if size > LOG_BATCH_BYTES:
            raise Unfit(f"a log record of more than {LOG_BATCH_BYTES} bytes")
        if self._size + size > LOG_BATCH_BYTES or len(self._held) == limits.LOG_RECORDS:
            self.close()
        self._held.append(record)
        self._size += size

    def close(self) -> None:
        """Cut here."""
        if not self._held:
            return
        self._seed.update(b".")
        sequence = int.from_bytes(self._seed.digest(), "big") >> 1
        batch = LogBatch(self._source, BOOT, sequence, self._resource, tuple(self._held))
        self.framed.append(Framed(encode_logs(batch), len(self._held)))
        self._held, self._size = [], 0
