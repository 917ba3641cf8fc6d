"""JSON batches: objects to framed records.

What: one object, or an array of them, each a source's measurements; what comes out is a TelemetryBatch like any other.
Why: a browser, a shell script and a gateway in somebody's own language have JSON and no Avro. It refuses a whole object
for one bad measurement and names it by its place, as the Avro reader does; and it refuses numbers written as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import numpy as np

from gateway.identity import Identity
from gateway.limits import DETAIL_CHARS, JSON_BYTES, MEASUREMENTS, RECORDS
from gateway.refusal import bad, too_large
from gateway.verdicts import JSON, Verdict, rejected
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch
from schemas.limits import BATCH_MEASUREMENTS, TIME_BOUND_MS, TRACE_BYTES
from schemas.measurements import OUTCOME_BAD, OUTCOME_GOOD, OUTCOME_NONE
from schemas.records import MEASURE_KINDS, SOURCE_KINDS, MeasureKind, SourceKind

_OUTCOMES: Final[Mapping[object, int]] = {None: OUTCOME_NONE, "good": OUTCOME_GOOD, "bad": OUTCOME_BAD}
_SPAN_MS: Final = 2**32
_SEQUENCE_BOUND: Final = 2**63
_BATCH: Final = frozenset({"source", "boot", "sequence", "sent_ms", "resource", "measurements"})
_RESOURCE: Final = frozenset({"service", "version", "environment", "region", "source_kind", "attributes"})
_MEASUREMENT: Final = frozenset({"metric", "kind", "unit", "labels", "value", "time_ms", "outcome", "trace_id"})

Plain = Mapping[str, object]


class Wrong(Exception):
    """A value that may not be: where, and what is wrong"""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}"[:DETAIL_CHARS])


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
        raise too_large(f"more than {MEASUREMENTS} measurements; send the rest in another request")
    return batches


def _size(batch: object) -> int:
    found = batch.get("measurements") if isinstance(batch, dict) else None
    return len(found) if isinstance(found, list) else 0


def framed(batch: object, identity: Identity) -> bytes | Verdict:
    """A batch as a framed record, or why not. Limits and the source's owner are judged afterwards, on the record."""
    try:
        return _framed(_mapping(batch, "batch", _BATCH), identity)
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
        one = _mapping(found, place, _MEASUREMENT)
        entry = _entry(one, place)
        key = (entry.metric, entry.kind, entry.unit, *sorted(entry.labels.items()))
        if key not in table:
            table[key] = len(entries)
            entries.append(entry)
        index.append(table[key])
        times.append(_whole(one, "time_ms", place, TIME_BOUND_MS))
        values.append(_number(one, "value", place))
        outcomes.append(_outcome(one, place))
        trace = _trace(one, place)
        if trace:
            exemplars.append((row, trace))
    base = min(times)
    if max(times) - base >= _SPAN_MS:
        raise Wrong("measurements", "event times of one batch lie within 49 days")
    producer = Producer(_text(batch, "source", "batch") or identity.source, _text(batch, "boot", "batch"))
    sent_ms = _whole(batch, "sent_ms", "batch", TIME_BOUND_MS, base)
    return encode_batch(
        entries, _resource(batch), producer,
        base_ms=base, series=index, delta_ms=[time - base for time in times], value=values,
        outcome=None if min(outcomes) == OUTCOME_NONE else outcomes,
        sequence=_whole(batch, "sequence", "batch", _SEQUENCE_BOUND, -1), exemplars=exemplars,
        changed={"created_wall_ms": sent_ms, "sent_wall_ms": sent_ms},
    )  # fmt: skip


def _resource(batch: Plain) -> Resource:
    found = _mapping(batch.get("resource", {}), "resource", _RESOURCE)
    kind = _text(found, "source_kind", "resource", "other")
    if kind not in SOURCE_KINDS:
        raise Wrong("resource.source_kind", f"one of {', '.join(SOURCE_KINDS)} is expected")
    return Resource(
        service=_text(found, "service", "resource"),
        version=_text(found, "version", "resource"),
        environment=_text(found, "environment", "resource"),
        region=_text(found, "region", "resource"),
        source_kind=SourceKind(SOURCE_KINDS.index(kind)),
        attributes=_texts(found, "attributes", "resource"),
    )


def _entry(one: Plain, place: str) -> SeriesEntry:
    kind = _text(one, "kind", place, "gauge")
    if kind not in MEASURE_KINDS:
        raise Wrong(f"{place}.kind", f"one of {', '.join(MEASURE_KINDS)} is expected")
    metric = _text(one, "metric", place)
    if not metric:
        raise Wrong(f"{place}.metric", "a name is expected")
    unit = _text(one, "unit", place, "1")
    return SeriesEntry(metric, MeasureKind(MEASURE_KINDS.index(kind)), unit, _texts(one, "labels", place))


def _mapping(found: object, place: str, known: frozenset[str]) -> Plain:
    if not isinstance(found, dict):
        raise Wrong(place, "an object is expected")
    unknown = found.keys() - known
    if unknown:
        raise Wrong(place, f"there is no field {min(unknown)[:40]!r}")
    return found


def _text(found: Plain, name: str, place: str, default: str = "") -> str:
    value = found.get(name, default)
    if not isinstance(value, str):
        raise Wrong(f"{place}.{name}", "text is expected")
    return value


def _texts(found: Plain, name: str, place: str) -> dict[str, str]:
    value = found.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise Wrong(f"{place}.{name}", "an object of texts is expected")
    return value


def _whole(found: Plain, name: str, place: str, bound: int, default: int | None = None) -> int:
    value = found.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not (0 <= value < bound or value == default):
        raise Wrong(f"{place}.{name}", f"a whole number from 0 to {bound - 1} is expected")
    return value


def _number(found: Plain, name: str, place: str) -> float:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(float(value)):
        raise Wrong(f"{place}.{name}", "a finite number is expected")
    return float(value)


def _outcome(found: Plain, place: str) -> int:
    value = found.get("outcome")
    if not (value is None or isinstance(value, str)) or value not in _OUTCOMES:
        raise Wrong(f"{place}.outcome", "good or bad is expected")
    return _OUTCOMES[value]


def _trace(found: Plain, place: str) -> bytes:
    text = _text(found, "trace_id", place)
    try:
        trace = bytes.fromhex(text)
    except ValueError:
        trace = b"?"
    if len(trace) not in (0, TRACE_BYTES):
        raise Wrong(f"{place}.trace_id", "32 hexadecimal digits are expected")
    return trace
