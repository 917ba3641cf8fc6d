"""TelemetryDecoder: good records become columns; a bad one costs itself, its reason and its byte."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from schemas import corrupt, limits
from schemas.encoding import Producer, Resource, SeriesEntry, event_tail, string
from schemas.framing import Schema, confluent, single_object
from schemas.measurements import mix64
from schemas.records import MeasureKind, SourceKind, short_hash
from schemas.telemetry import Refused, TelemetryDecoder
from schemas.telemetry_schema import BATCH, EVENT
from schemas.walk import number
from tests.schemas.examples import (
    ENTRY,
    NOW_MS,
    PRODUCER,
    RESOURCE,
    TRACE,
    Registry,
    batch,
    decoder,
    event,
    records,
)

HEAD = single_object(EVENT) + PRODUCER.encoded()
TAIL = event_tail(ENTRY, RESOURCE)
MANY = Resource(attributes={str(i): "" for i in range(limits.ATTRIBUTES + 1)})
LONG = SeriesEntry("m", labels={str(i): "\u20ac" * 256 for i in range(12)})


def head(**parts: bytes) -> bytes:
    """An event built from its parts, each replaceable."""
    fields = {
        "framing": single_object(EVENT), "source": string("s"), "boot": string("b"), "sequence": number(1),
        "time_ms": number(NOW_MS), "value": struct.pack("<d", 2.5), "outcome": number(1), "trace": number(0),
        "tail": TAIL,
    }  # fmt: skip
    return b"".join((fields | parts).values())


def refused_one(value: bytes) -> Refused:
    """The refusal of a bad record between good ones, which must be whole, and whose tails it may share."""
    read, _ = decoder()
    read.decode(records(batch(1), batch(1, tables=0), head()))
    for _ in range(2):
        decoded = read.decode(records(event(1.0), batch(1), value, event(2.0), batch(2)))
        assert decoded.measurements.value.tolist() == [1.0, 0.5, 2.0, 0.5, 1.5]
        assert decoded.measurements.offset().tolist() == [100, 101, 103, 104, 104]
        (refused,) = decoded.refused
        assert refused.offset == 102
        assert refused.reason in corrupt.REASONS
        assert refused.detail
    return refused


def test_events_become_columns() -> None:
    read, registry = decoder()
    other = SeriesEntry("errors", MeasureKind.OUTCOME, "1", {"region": "us"})
    values = [
        event(1.0),
        event(2.0, entry=other, outcome=0, trace_id=TRACE, sequence=4),
        event(3.0, time_ms=NOW_MS + 5),
    ]
    decoded = read.decode(records(*values))
    rows = decoded.measurements
    assert decoded.refused == []
    assert rows.series.tolist() == [0, 1, 0]
    assert rows.value.tolist() == [1.0, 2.0, 3.0]
    assert rows.time_ms.tolist() == [NOW_MS, NOW_MS, NOW_MS + 5]
    assert rows.outcome.tolist() == [1, 0, 1]
    assert rows.record_sequence.tolist() == [3, 4, 3]
    assert rows.record_rows.tolist() == [1, 1, 1]
    assert rows.append_ms().tolist() == [NOW_MS + 100, NOW_MS + 101, NOW_MS + 102]
    assert set(rows.record_producer.tolist()) == {short_hash(b"web-1\0b00t")}
    assert rows.exemplar_row.tolist() == [1]
    assert rows.exemplar_trace.tobytes() == TRACE
    assert read.strict_reads == 0
    found = registry.definitions[1]
    assert (found.metric, found.kind, found.unit) == ("errors", MeasureKind.OUTCOME, "1")
    assert found.source_kind == SourceKind.WEB
    assert found.labels == {"service": "shop", "version": "7", "region": "us"}  # the measurement's label wins


def test_batches_become_columns() -> None:
    read, registry = decoder()
    decoded = read.decode(records(batch(5), batch(0), batch(3)))
    rows = decoded.measurements
    assert decoded.refused == []
    assert rows.record_rows.tolist() == [5, 0, 3]
    assert rows.row_record.tolist() == [0] * 5 + [2] * 3
    assert rows.series.tolist() == [0, 1, 0, 1, 0, 0, 1, 0]
    assert rows.value.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 0.5, 1.5, 2.5]
    assert rows.time_ms.tolist()[:3] == [NOW_MS, NOW_MS + 10, NOW_MS + 20]
    assert rows.outcome.tolist()[:4] == [0, 1, 2, 0]
    assert rows.exemplar_row.tolist() == [1, 6]
    assert rows.exemplar_trace.tobytes() == TRACE * 2
    assert read.strict_reads == 0
    assert registry.definitions[1].labels["route"] == "/1"


def test_a_batch_without_outcomes_has_none() -> None:
    read, _ = decoder()
    value = batch(2, outcomes=b"", crc32=0)
    assert read.decode(records(value)).refused[0].reason == corrupt.CRC
    from schemas.encoding import encode_batch

    value = encode_batch([ENTRY], RESOURCE, PRODUCER, base_ms=5, series=[0, 0], delta_ms=[0, 1], value=[1.0, 2.0])
    assert read.decode(records(value)).measurements.outcome.tolist() == [2, 2]


def test_event_ids_are_those_of_the_contract() -> None:
    read, _ = decoder()
    rows = read.decode(records(batch(3), event(1.0, sequence=4))).measurements
    producer = short_hash(b"web-1\0b00t")
    plain = [(9, 0), (9, 1), (9, 2), (4, 0)]
    mixed = [(producer + s * 0x9E3779B97F4A7C15 + r * 0xC2B2AE3D27D4EB4F) % 2**64 for s, r in plain]
    assert rows.event_id().tolist() == mix64(np.array(mixed, np.uint64)).tolist()


def test_a_mixed_chunk_keeps_the_order_of_the_log() -> None:
    read, _ = decoder()
    odd = head(sequence=b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")  # 2**63 - 1: ten bytes, so read strictly
    decoded = read.decode(records(event(1.0), batch(2), odd, event(9.0, trace_id=TRACE), batch(3)))
    rows = decoded.measurements
    assert decoded.refused == []
    assert read.strict_reads == 1
    assert rows.value.tolist() == [1.0, 0.5, 1.5, 2.5, 9.0, 0.5, 1.5, 2.5]
    assert rows.offset().tolist() == [100, 101, 101, 102, 103, 104, 104, 104]
    assert rows.record_sequence.tolist() == [3, 9, 2**63 - 1, 3, 9]
    assert rows.exemplar_row.tolist() == [2, 4, 6]
    assert (np.diff(rows.row_record) >= 0).all()


def test_keeping_records_keeps_their_rows_and_exemplars() -> None:
    read, _ = decoder()
    rows = read.decode(records(batch(2), event(1.0), batch(3))).measurements
    kept = rows.keep(np.array([False, True, True]))
    assert kept.value.tolist() == [1.0, 0.5, 1.5, 2.5]
    assert kept.record_offset.tolist() == [101, 102]
    assert kept.row_record.tolist() == [0, 1, 1, 1]
    assert kept.exemplar_row.tolist() == [2]
    assert kept.event_id().tolist() == rows.event_id().tolist()[2:]


def test_offsets_with_holes_are_kept() -> None:
    read, _ = decoder()
    rows = read.decode([(5, 1, event(1.0)), (9, 2, event(2.0))]).measurements
    assert rows.record_offset.tolist() == [5, 9]


def test_nothing_is_nothing() -> None:
    read, _ = decoder()
    decoded = read.decode([])
    assert len(decoded.measurements) == decoded.measurements.records == 0


@pytest.mark.parametrize(
    ("value", "reason", "byte"),
    [
        (b"", corrupt.FRAMING, 0),
        (b"\xc3\x01", corrupt.FRAMING, 0),
        (b"{}", corrupt.FRAMING, 0),
        (b"\x00\x00", corrupt.FRAMING, 0),
        (b"\xc3\x01" + b"\x07" * 8 + TAIL, corrupt.UNKNOWN_SCHEMA, 2),
        (confluent(77) + TAIL, corrupt.UNKNOWN_SCHEMA, 1),
        (single_object(EVENT), corrupt.TRUNCATED, 10),
        (head(source=number(-1)), corrupt.LENGTH, 10),
        (head(source=number(2**40)), corrupt.LENGTH, 10),
        (head(source=b"\xff" * 9 + b"\x01"), corrupt.LENGTH, 10),
        (head(source=b"\xff" * 11), corrupt.VARINT, 10),
        (head(source=string("\xe9" * 129)), corrupt.SIZE, 10),
        (head(source=number(1) + b"\xff"), corrupt.UTF8, 11),
        (head(boot=string("x" * 129)), corrupt.SIZE, 12),
        (head(time_ms=number(-1)), corrupt.TIME, 15),
        (head(time_ms=number(2**53)), corrupt.TIME, 15),
        (head(value=struct.pack("<d", math.nan)), corrupt.VALUE, 21),
        (head(value=struct.pack("<d", -math.inf)), corrupt.VALUE, 21),
        (head(value=struct.pack("<d", 2.0**43)), corrupt.VALUE, 21),
        (head(outcome=number(3)), corrupt.OUTCOME, 29),
        (head(outcome=number(-1)), corrupt.OUTCOME, 29),
        (head(outcome=number(2**40)), corrupt.VARINT, 29),
        (head(trace=number(4) + b"abcd"), corrupt.TRACE, 30),
        (head(tail=b""), corrupt.TRUNCATED, 31),
        (head(tail=TAIL + b"\0"), corrupt.TRAILING, 31 + len(TAIL)),
        (head(tail=TAIL[:-1]), corrupt.TRUNCATED, 30 + len(TAIL)),
        (head(tail=event_tail(SeriesEntry(""), RESOURCE)), corrupt.METRIC, 31),
        (head(tail=event_tail(SeriesEntry("m" * 129), RESOURCE)), corrupt.SIZE, 31),
        (head(tail=event_tail(SeriesEntry("m", unit="u" * 65), RESOURCE)), corrupt.SIZE, 31),
        (head(tail=event_tail(SeriesEntry("m", labels={str(i): "" for i in range(14)}), RESOURCE)), corrupt.SIZE, 31),
        (head(tail=event_tail(SeriesEntry("m", labels={"k" * 65: ""}), RESOURCE)), corrupt.SIZE, 31),
        (head(tail=event_tail(SeriesEntry("m", labels={"k": "v" * 257}), RESOURCE)), corrupt.SIZE, 31),
        (head(tail=string("m") + number(4) + b"junk"), corrupt.SYMBOL, 33),
        (head(tail=string("m") + number(1) + string("u") + number(2**50)), corrupt.LENGTH, 36),
        (b"\xc3\x01" + bytes(limits.RECORD_BYTES), corrupt.SIZE, limits.RECORD_BYTES),
        (batch(3, series_index=b"\0" * 8), corrupt.COLUMNS, -1),
        (batch(3, delta_ms=b"\0" * 13), corrupt.COLUMNS, -1),
        (batch(3, values=b"\0" * 25), corrupt.COLUMNS, -1),
        (batch(3, outcomes=b"\0"), corrupt.COLUMNS, -1),
        (batch(3, crc32=1), corrupt.CRC, -1),
        (batch(4_097), corrupt.SIZE, -1),
        (batch(3, tables=0), corrupt.SERIES_INDEX, -1),
        (batch(3, tables=513), corrupt.SIZE, -1),
        (batch(3, base_ms=-1), corrupt.TIME, -1),
        (batch(3, base_ms=2**53 - 5), corrupt.TIME, -1),
        (batch(3, exemplars=[{"row": 3, "trace_id": TRACE}]), corrupt.EXEMPLAR, -1),
        (batch(3, exemplars=[{"row": -1, "trace_id": TRACE}]), corrupt.EXEMPLAR, -1),
        (batch(3, exemplars=[{"row": 1, "trace_id": b"1"}]), corrupt.TRACE, -1),
        (batch(3) + b"\0", corrupt.TRAILING, -1),
        (batch(3)[:-1], corrupt.TRUNCATED, -1),
        (batch(3, source="s" * 129), corrupt.SIZE, -1),
        (batch(3, resource=MANY.row()), corrupt.SIZE, -1),
        (head(tail=event_tail(ENTRY, MANY)), corrupt.SIZE, -1),
        (batch(3, series=[LONG.row()] * 300), corrupt.SIZE, limits.RECORD_BYTES),
    ],
)
def test_bad_records_are_refused_with_reason_and_byte(value: bytes, reason: str, byte: int) -> None:
    refused = refused_one(value)
    assert (refused.reason, refused.byte) == (reason, byte if byte >= 0 else refused.byte), refused
    assert 0 <= refused.byte <= max(len(value), limits.RECORD_BYTES)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 2.0**43, -(2.0**43), 1e300])
@pytest.mark.parametrize("column", ["value", "outcome", "series"])
def test_one_bad_row_refuses_its_batch_and_no_other(bad: float, column: str) -> None:
    from schemas.encoding import encode_batch

    columns: dict[str, list[float]] = {
        "series": [0, 0, 0],
        "delta_ms": [0, 1, 2],
        "value": [1, 2, 3],
        "outcome": [0, 1, 2],
    }
    columns[column][1] = {"value": bad, "outcome": 3, "series": 1}[column]
    value = encode_batch([ENTRY], RESOURCE, PRODUCER, base_ms=NOW_MS, **columns)  # type: ignore[arg-type]
    good = encode_batch([ENTRY], RESOURCE, PRODUCER, base_ms=NOW_MS, series=[0], delta_ms=[0], value=[1.0], outcome=[1])
    read, _ = decoder()
    assert len(read.decode(records(good)).measurements) == 1
    decoded = read.decode(records(batch(2), value, batch(3)))
    assert decoded.measurements.value.tolist() == [0.5, 1.5, 0.5, 1.5, 2.5]
    assert decoded.measurements.exemplar_row.tolist() == [1, 3]
    expected = {"value": corrupt.VALUE, "outcome": corrupt.OUTCOME, "series": corrupt.SERIES_INDEX}[column]
    assert [refused.reason for refused in decoded.refused] == [expected]


def test_the_largest_good_values_pass() -> None:
    read, _ = decoder()
    largest = math.nextafter(2.0**43, 0)
    values = [
        event(largest),
        event(-largest),
        event(5e-324),
        event(-0.0),
        event(1.0, time_ms=0),
        event(1.0, time_ms=2**53 - 1),
    ]
    decoded = read.decode(records(*values))
    assert decoded.refused == []
    assert decoded.measurements.value.tolist()[:2] == [largest, -largest]
    assert read.strict_reads == 0
    full = batch(limits.BATCH_MEASUREMENTS, tables=limits.BATCH_SERIES)
    assert read.decode(records(full)).measurements.record_rows.tolist() == [limits.BATCH_MEASUREMENTS]


def test_long_names_and_tails_are_read() -> None:
    read, registry = decoder()
    labels = {f"{i:02d}" + "k" * 62: f"{i}" + "\u20ac" * 255 for i in range(10)}
    values = [event(float(i), entry=SeriesEntry("m", labels=dict(list(labels.items())[:i]))) for i in range(11)]
    values += [event(1.0, producer=Producer("\u20ac" * 128, "\u20ac" * 128))]
    for _ in range(2):
        decoded = read.decode(records(*values))
        assert decoded.refused == []
        assert decoded.measurements.series.tolist() == [*range(11), 11]
    assert registry.definitions[10].labels["00" + "k" * 62] == "0" + "\u20ac" * 255


def test_known_series_are_not_asked_again_until_forgotten() -> None:
    read, registry = decoder()
    values = records(event(1.0), event(2.0), batch(4), batch(4))
    for _ in range(3):
        read.decode(values)
    assert registry.asked == 3
    read.forget()
    read.decode(values)
    assert registry.asked == 6


def test_equal_series_from_other_hosts_have_one_index() -> None:
    read, registry = decoder()
    values = [event(1.0, resource=Resource("shop", "7", "", "eu", SourceKind.WEB, {"host": str(i)})) for i in range(9)]
    assert set(read.decode(records(*values)).measurements.series.tolist()) == {0}
    assert registry.asked == 1


def test_confluent_framing_is_read_through_the_lookup() -> None:
    registry = Registry()
    asked: list[int] = []

    def lookup(schema_id: int) -> str | None:
        asked.append(schema_id)
        import json

        return {5: json.dumps(EVENT.definition), 6: json.dumps(BATCH.definition), 7: '"string"', 8: "nonsense"}.get(
            schema_id
        )

    read = TelemetryDecoder(registry.resolve, lookup)
    body = batch(2)[10:]
    values = [event(1.0, schema_id=5), confluent(6) + body, event(2.0), *(event(3.0, schema_id=i) for i in (7, 8, 9))]
    decoded = read.decode(records(*values))
    assert decoded.measurements.value.tolist() == [1.0, 0.5, 1.5, 2.0]
    assert [(refused.reason, refused.byte) for refused in decoded.refused] == [(corrupt.UNKNOWN_SCHEMA, 1)] * 3
    asked.clear()
    read.decode(records(*values[:3]))
    assert asked == []  # known ids are kept


def test_an_outage_of_the_registry_is_not_a_bad_record() -> None:
    def lookup(schema_id: int) -> str | None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        TelemetryDecoder(Registry().resolve, lookup).decode(records(event(1.0, schema_id=5)))


def test_another_registered_schema_is_read_by_resolution() -> None:
    import io
    import json

    import fastavro

    definition = json.loads(json.dumps(EVENT.definition))
    definition["fields"].insert(3, {"name": "battery", "type": ["null", "double"], "default": None})
    del definition["fields"][7]  # trace_id, which has a default
    text = json.dumps(definition)
    row = {
        "source": "car", "boot": "1", "sequence": 5, "time_ms": NOW_MS, "battery": 0.5, "value": 7.0, "outcome": 2,
        "metric": "speed", "kind": "gauge", "unit": "km/h", "labels": {}, "resource": RESOURCE.row(),
    }  # fmt: skip
    out = io.BytesIO()
    fastavro.schemaless_writer(out, Schema.of(text).parsed, row)
    registry = Registry()
    read = TelemetryDecoder(registry.resolve, lambda schema_id: text if schema_id == 3 else None)
    good = confluent(3) + out.getvalue()
    decoded = read.decode(records(event(1.0), good, good + b"\0", good[:-1]))
    assert decoded.measurements.value.tolist() == [1.0, 7.0]
    assert registry.definitions[1].metric == "speed"
    assert [refused.reason for refused in decoded.refused] == [corrupt.TRAILING, corrupt.TRUNCATED]


def test_another_topics_schema_is_refused() -> None:
    import json

    from schemas.bundled import schema

    text = json.dumps(schema("command").definition)
    read = TelemetryDecoder(Registry().resolve, lambda schema_id: text)
    assert [r.reason for r in read.decode(records(confluent(3) + b"\0" * 6)).refused] == [corrupt.UNKNOWN_SCHEMA]


def test_the_lockstep_reader_knows_the_order_of_the_schema() -> None:
    names = [field["name"] for field in EVENT.definition["fields"]]  # type: ignore[index,union-attr]
    assert names == [
        "source", "boot", "sequence", "time_ms", "value", "outcome", "trace_id", "metric", "kind", "unit",
        "labels", "resource",
    ]  # fmt: skip
    names = [field["name"] for field in BATCH.definition["fields"]]  # type: ignore[index,union-attr]
    assert names == [
        "source", "boot", "sequence", "base_ms", "created_wall_ms", "created_mono_ms", "sent_wall_ms", "sent_mono_ms",
        "series_index", "delta_ms", "values", "outcomes", "exemplars", "crc32", "resource", "series",
    ]  # fmt: skip
