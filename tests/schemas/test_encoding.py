"""Encoding: what the encoders write is what fastavro writes."""

from __future__ import annotations

import io

import fastavro
import numpy as np
import pytest

from schemas.encoding import Producer, SeriesEntry, encode_events, event_tail, framing, numbers, string
from schemas.telemetry_schema import EVENT_SCHEMA
from schemas.walk import number
from tests.schemas.examples import ENTRY, NOW_MS, PRODUCER, RESOURCE, TRACE, event


def written(**fields: object) -> bytes:
    row = {
        "source": "web-1",
        "boot": "b00t",
        "sequence": 3,
        "time_ms": NOW_MS,
        "value": 1.5,
        "outcome": 1,
        "trace_id": b"",
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, EVENT_SCHEMA, row | ENTRY.row() | {"resource": RESOURCE.row()} | fields)
    return out.getvalue()


def test_an_event_is_what_fastavro_writes() -> None:
    assert event() == framing(None) + written()
    assert event(trace_id=TRACE, schema_id=4) == b"\0\0\0\0\x04" + written(trace_id=TRACE)
    assert written().endswith(event_tail(ENTRY, RESOURCE))


@pytest.mark.parametrize("schema_id", [None, 9])
def test_many_events_are_single_events(schema_id: int | None) -> None:
    tails = [event_tail(ENTRY, RESOURCE), event_tail(SeriesEntry("other"), RESOURCE)]
    producers = [PRODUCER.encoded(), Producer("x", "y").encoded()]
    sequence, time_ms = [3, -1, 2**62], [NOW_MS, 0, 2**53 - 1]
    many = encode_events(
        tails, producers, tail=[0, 1, 0], producer=[0, 1, 1], sequence=sequence, time_ms=time_ms,
        value=[1.5, -2.0, 0.0], outcome=[1, 2, 0], schema_id=schema_id,
    )  # fmt: skip
    assert many[0] == event(schema_id=schema_id)
    assert many[1] == event(
        -2.0,
        entry=SeriesEntry("other"),
        producer=Producer("x", "y"),
        sequence=-1,
        time_ms=0,
        outcome=2,
        schema_id=schema_id,
    )
    assert many[2] == event(
        0.0, producer=Producer("x", "y"), sequence=2**62, time_ms=2**53 - 1, outcome=0, schema_id=schema_id
    )


def test_numbers_of_a_column_are_single_numbers() -> None:
    values = np.array([0, -1, 1, 63, 64, -64, -65, 2**31, 2**62, 2**63 - 1, -(2**63)], np.int64)
    data, size = numbers(values)
    assert [row[:count].tobytes() for row, count in zip(data, size, strict=True)] == [number(int(v)) for v in values]


def test_strings_are_utf8() -> None:
    assert string("\u20ac") == b"\x06\xe2\x82\xac"
