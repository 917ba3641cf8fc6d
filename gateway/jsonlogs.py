"""JSON logs: an object with log records and events to a framed LogBatch.

What: the other kind of JSON batch, beside that with measurements. Why: a browser's errors and a script's events travel in
the same body as their numbers, and get their own verdict. It refuses a whole object for one bad record, with its place.
"""

from __future__ import annotations

from typing import Final

from gateway.identity import Identity
from gateway.plain import SEQUENCE_BOUND, Plain, Wrong, identifier, mapping, resource_of, text, texts, whole
from schemas.limits import LOG_RECORDS, SPAN_BYTES, TIME_BOUND_MS, TRACE_BYTES
from schemas.logs import SEVERITIES, SEVERITY_MOST, LogBatch, LogRecord, encode_logs

RECORDS: Final = "records"
FIELDS: Final = frozenset({"source", "boot", "sequence", "sent_ms", "resource", RECORDS})
_RECORD: Final = frozenset({
    "time_ms", "observed_ms", "severity", "severity_text", "event", "body", "attributes", "trace_id", "span_id", "left_out",
})  # fmt: skip
_LEFT_OUT_BOUND: Final = 2**31


def framed_logs(batch: Plain, identity: Identity) -> bytes:
    """The framed record. Raises Wrong; ValueError, OverflowError for what has no Avro form."""
    found = batch.get(RECORDS)
    if not isinstance(found, list) or not 0 < len(found) <= LOG_RECORDS:
        raise Wrong(RECORDS, f"an array of 1 to {LOG_RECORDS} is expected")
    records = tuple(_record(one, f"{RECORDS}[{place}]") for place, one in enumerate(found))
    sent_ms = whole(batch, "sent_ms", "batch", TIME_BOUND_MS, records[0].at_ms)
    return encode_logs(
        LogBatch(
            source=text(batch, "source", "batch") or identity.source,
            boot=text(batch, "boot", "batch"),
            sequence=whole(batch, "sequence", "batch", SEQUENCE_BOUND, -1),
            resource=resource_of(batch),
            records=records,
            created_wall_ms=sent_ms,
            sent_wall_ms=sent_ms,
        )
    )


def _record(found: object, place: str) -> LogRecord:
    one = mapping(found, place, _RECORD)
    time_ms = whole(one, "time_ms", place, TIME_BOUND_MS)
    return LogRecord(
        time_ms=time_ms,
        observed_ms=whole(one, "observed_ms", place, TIME_BOUND_MS, time_ms),
        severity=_severity(one, place),
        severity_text=text(one, "severity_text", place),
        event=text(one, "event", place),
        body=text(one, "body", place),
        attributes=texts(one, "attributes", place),
        trace_id=identifier(one, "trace_id", place, TRACE_BYTES),
        span_id=identifier(one, "span_id", place, SPAN_BYTES),
        left_out=whole(one, "left_out", place, _LEFT_OUT_BOUND, 0),
    )


def _severity(one: Plain, place: str) -> int:
    value = one.get("severity", 0)
    if isinstance(value, str):
        value = SEVERITIES.get(value.lower(), -1)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= SEVERITY_MOST:
        known = ", ".join(SEVERITIES)
        raise Wrong(f"{place}.severity", f"one of {known}, or a number from 0 to {SEVERITY_MOST}, is expected")
    return value
