"""Wire: reads exactly one record, and says why not."""

from __future__ import annotations

import pytest
from tocsin import Client, MemoryTransport

from demo.play import unreadable
from demo.wire import NotARecord, event_ids, read_batch, read_definition
from schemas.records import MeasureKind, SeriesDefinition, SourceKind


def record() -> bytes:
    transport = MemoryTransport()
    made = Client(source="s", service="x", kind="web", transport=transport, flush_interval=3600)
    made.outcome("o", k="v").observe(True, 3, trace_id=b"\1" * 16, time_ms=5)
    made.close()
    return transport.records[0][1]


def test_no_prefix_of_a_record_is_one() -> None:
    whole = record()
    assert read_batch(whole).time_ms.tolist() == [5]
    for end in range(len(whole)):
        with pytest.raises(NotARecord):
            read_batch(whole[:end])
    with pytest.raises(NotARecord, match="follow"):
        read_batch(whole + b"\0")


def test_unreadable_records_are_unreadable() -> None:
    for value in unreadable(7):
        with pytest.raises(NotARecord):
            read_batch(value)


def test_ids_are_a_function_of_producer_sequence_and_row() -> None:
    ids = event_ids("s", "b", 3, 5)
    assert len(set(ids.tolist())) == 5
    assert ids.tolist()[:2] == event_ids("s", "b", 3, 2).tolist()
    assert not set(ids.tolist()) & set(event_ids("s", "b", 4, 5).tolist())
    assert not set(ids.tolist()) & set(event_ids("s", "c", 3, 5).tolist())


def test_the_platforms_definitions_are_understood() -> None:
    definition = SeriesDefinition("m", MeasureKind.OUTCOME, "ms", SourceKind.VEHICLE, {"b": "2", "a": "ü"})
    assert read_definition(definition.canonical()) == ("m", "outcome", "ms", "vehicle", (("a", "ü"), ("b", "2")))
