"""JSON batches: objects to framed records.

What: one object, or an array of them, each a source's measurements (or log records: see `jsonlogs`); what comes out is a
TelemetryBatch like any other.
Why: a browser, a shell script and a gateway in somebody's own language have JSON and no Avro. It refuses a whole object
for one bad measurement and names it by its place, as the Avro reader does; and it refuses numbers written as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from gateway import jsonlogs
from gateway.identity import Identity
from gateway.limits import DETAIL_CHARS, JSON_BYTES, MEASUREMENTS, RECORDS
from gateway.plain import SEQUENCE_BOUND, Plain, Wrong, identifier, mapping, number, resource_of, text, texts, whole
from gateway.refusal import bad, too_large
from gateway.verdicts import JSON, Verdict, rejected
from schemas.encoding import Producer, SeriesEntry, encode_batch
from schemas.limits import BATCH_MEASUREMENTS, TIME_BOUND_MS, TRACE_BYTES
from schemas.measurements import OUTCOME_BAD, OUTCOME_GOOD, OUTCOME_NONE
from schemas.records import MEASURE_KINDS, MeasureKind

_OUTCOMES: Final[Mapping[object, int]] = {None: OUTCOME_NONE, "good": OUTCOME_GOOD, "bad": OUTCOME_BAD}
_SPAN_MS: Final = 2**32
_BATCH: Final = frozenset({"source", "boot", "sequence", "sent_ms", "resource", "measurements"})
_MEASUREMENT: Final = frozenset({"metric", "kind", "unit", "labels", "value", "time_ms", "outcome", "trace_id"})


def parsed(body: bytes) -> list[object]:
    """The batches of a body, still unchecked. Raises Refusal when it is not JSON, or too much."""
    if len(body) > JSON_BYTES:
        raise too_large(f"{len(body)} bytes of JSON; the limit is {JSON_BYTES}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad("json", str(error)[:DETAIL_CHARS]) from error
    batches = found if isinstance(found, list) else [found]
    if len(batches) > RECORDS:
        raise too_large(f"{len(batches)} batches; the limit is {RECORDS}")
    if sum(_size(batch) for batch in batches) > MEASUREMENTS:
        raise too_large(f"more than {MEASUREMENTS} measurements and records; send the rest in another request")
    return batches


def _size(batch: object) -> int:
    held = (batch.get("measurements"), batch.get(jsonlogs.RECORDS)) if isinstance(batch, dict) else ()
    return sum(len(found) for found in held if isinstance(found, list))


def records(body: bytes, identity: Identity) -> Iterator[bytes | Verdict]:
    """A body's batches as framed records, each by itself. Raises Refusal as `parsed` does."""
    return (framed(batch, identity) for batch in parsed(body))


def framed(batch: object, identity: Identity) -> bytes | Verdict:
    """A batch as a framed record, or why not. Limits and the source's owner are judged afterwards, on the record."""
    try:
        if isinstance(batch, dict) and jsonlogs.RECORDS in batch:
            return jsonlogs.framed_logs(mapping(batch, "batch", jsonlogs.FIELDS), identity)
        return _framed(mapping(batch, "batch", _BATCH), identity)
    except Wrong as error:
        return rejected(JSON, str(error))
    except (ValueError, OverflowError, UnicodeEncodeError) as error:  # a number or a text that has no Avro form
        return rejected(JSON, str(error))


def _framed(batch: Plain, identity: Identity) -> bytes:
    measurements = batch.get("measurements")
    if not isinstance(measurements, list) or not 0 < len(measurements) <= BATCH_MEASUREMENTS:
        raise Wrong("measurements", f"an array of 1 to {BATCH_MEASUREMENTS} is expected")
    table: dict[tuple[object, ...], int] = {}
    entries: list[SeriesEntry] = []
    index, times, values, outcomes = [], [], [], []
    exemplars: list[tuple[int, bytes]] = []
    for row, found in enumerate(measurements):
        place = f"measurements[{row}]"
        one = mapping(found, place, _MEASUREMENT)
        entry = _entry(one, place)
        key = (entry.metric, entry.kind, entry.unit, *sorted(entry.labels.items()))
        if key not in table:
            table[key] = len(entries)
            entries.append(entry)
        index.append(table[key])
        times.append(whole(one, "time_ms", place, TIME_BOUND_MS))
        values.append(number(one, "value", place))
        outcomes.append(_outcome(one, place))
        trace = identifier(one, "trace_id", place, TRACE_BYTES)
        if trace:
            exemplars.append((row, trace))
    base = min(times)
    if max(times) - base >= _SPAN_MS:
        raise Wrong("measurements", "event times of one batch lie within 49 days")
    producer = Producer(text(batch, "source", "batch") or identity.source, text(batch, "boot", "batch"))
    sent_ms = whole(batch, "sent_ms", "batch", TIME_BOUND_MS, 0)
    return encode_batch(
        entries, resource_of(batch), producer,
        base_ms=base, series=index, delta_ms=[time - base for time in times], value=values,
        outcome=None if min(outcomes) == OUTCOME_NONE else outcomes,
        sequence=whole(batch, "sequence", "batch", SEQUENCE_BOUND, -1), exemplars=exemplars,
        stamps=(sent_ms, 0, sent_ms, 0),
    )  # fmt: skip


def _entry(one: Plain, place: str) -> SeriesEntry:
    kind = text(one, "kind", place, "gauge")
    if kind not in MEASURE_KINDS:
        raise Wrong(f"{place}.kind", f"one of {', '.join(MEASURE_KINDS)} is expected")
    metric = text(one, "metric", place)
    if not metric:
        raise Wrong(f"{place}.metric", "a name is expected")
    unit = text(one, "unit", place, "1")
    return SeriesEntry(metric, MeasureKind(MEASURE_KINDS.index(kind)), unit, texts(one, "labels", place))


def _outcome(found: Plain, place: str) -> int:
    value = found.get("outcome")
    if not (value is None or isinstance(value, str)) or value not in _OUTCOMES:
        raise Wrong(f"{place}.outcome", "good or bad is expected")
    return _OUTCOMES[value]
