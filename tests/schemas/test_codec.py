"""Codec: every record comes back; bytes that are not exactly one record do not."""

from __future__ import annotations

import dataclasses
import io
import json

import fastavro
import numpy as np
import pytest

from schemas import codec, corrupt
from schemas.bundled import schema
from schemas.cells import ALL_COLUMNS, Cells
from schemas.codec import FORMS, Codec, NotEncodable, Record
from schemas.corrupt import CorruptRecord
from schemas.framing import single_object
from schemas.limits import MESSAGE_BYTES
from schemas.records import (
    AlertTransition,
    BurnReading,
    Command,
    DeadLetter,
    IncidentTransition,
    LateRecord,
    NotificationRecord,
    PartialBatch,
    RollupBatch,
    SloStatus,
)

BURN = BurnReading("page", 3_600_000, 300_000, 14.4, 9.0, 10.0, 1.5, 2.0, 100.0, 250.0, 0.05, True)
CELLS = Cells.of(
    2, series=np.array([1, 2**63], np.uint64), low=np.array([-1.0, np.inf]), hist_row=np.array([1]),
    hist_bucket=np.array([-7]), hist_count=np.array([3]), definition_end=np.array([1, 3]),
    definition_bytes=np.array([1, 2, 3]),
)  # fmt: skip
RECORDS: list[Record] = [
    PartialBatch(1, -1, 3, 4, (1, 2, -(2**62), 4), (5, 6, 7, 8), CELLS),
    RollupBatch(60_000, 120_000, 2, 0, (1, 2, 3, 4), CELLS),
    SloStatus("s", 0, {"r": "eu"}, "burning", "page", 2**60, 2**60, -0.5, (BURN, BURN), 0.9, 7, 8, "abc"),
    AlertTransition(
        "t", "a", 1, "s", 0, {"r": "eu"}, "firing", "page", "none", True, 1, 2, 3, 0.99, 4, (BURN,), 0.1, ("00ff",), 5,
        6, 7, {"0": 2**40}, "hash", "default", {"runbook": "x"}, "checkout burns",
    ),
    IncidentTransition("i", 2, "acknowledged", "ticket", "t", ("a", "b"), ("t",), {}, 1, 2, "ann", "asked to"),
    NotificationRecord(
        "n", "i", "pager", "trigger", "i", "page", "s", "shop", 1, 2, {"k": "\u20ac"}, "failed", 3, "503", 0, "",
    ),
    Command("c", "acknowledge", "i", "ann", 5, {"note": ""}),
    LateRecord("telemetry", 1, 2, 3, "too_late", "3 rows", -1, b"\0\xff"),
    DeadLetter("telemetry", 1, 2, 3, "crc", "no", 77, b""),
]  # fmt: skip


def plain(record: Record) -> Record:
    """Without Cells, whose arrays do not compare as one truth."""
    cells = getattr(record, "cells", None)
    return dataclasses.replace(record, cells=cells.columns()) if cells is not None else record  # type: ignore[call-arg,return-value]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_come_back(record: Record) -> None:
    data = codec.encode(record)
    assert data[:10] == single_object(schema(FORMS[type(record).__name__][1]))
    back = codec.decode(data)
    assert type(back) is type(record)
    assert plain(back) == plain(record)
    assert codec.encode(back) == data


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_cut_is_refused(record: Record) -> None:
    data = codec.encode(record)
    for end in {*range(0, len(data), max(1, len(data) // 60)), len(data) - 1}:
        with pytest.raises(CorruptRecord) as error:
            codec.decode(data[:end])
        assert error.value.reason in (corrupt.TRUNCATED, corrupt.LENGTH, corrupt.FRAMING)
        assert 0 <= error.value.byte <= end
    with pytest.raises(CorruptRecord) as error:
        codec.decode(data + b"\0")
    assert (error.value.reason, error.value.byte) == (corrupt.TRAILING, len(data))


def test_every_record_has_a_form_and_its_fields_are_those_of_the_schema() -> None:
    assert {type(record).__name__ for record in RECORDS} == set(FORMS)
    for name, (form, file) in FORMS.items():
        assert schema(file).name == name
        fields = schema(file).definition["fields"]
        assert isinstance(fields, list)
        assert {field["name"] for field in fields} == {field.name for field in dataclasses.fields(form)}
    cells = next(field for field in schema("rollup_batch").definition["fields"] if field["name"] == "cells")  # type: ignore[union-attr]
    assert [field["name"] for field in cells["type"]["fields"]] == list(ALL_COLUMNS)


def test_registry_ids_are_written_and_read() -> None:
    texts = {4: json.dumps(schema("command").definition)}
    both = Codec({"Command": 4, "Unknown": 5}, texts.get)
    data = both.encode(RECORDS[6])
    assert data[:5] == b"\0\0\0\0\x04"
    assert both.decode(data) == RECORDS[6]
    assert both.decode(codec.encode(RECORDS[6])) == RECORDS[6]
    with pytest.raises(CorruptRecord):
        codec.decode(data)


def test_older_and_newer_writers_are_read() -> None:
    older = json.loads(json.dumps(schema("late_record").definition))
    del older["fields"][7]  # original: bytes with a default, which fastavro fills in as text
    older["fields"].append({"name": "new", "type": "string"})
    out = io.BytesIO()
    row = {
        "source_topic": "t",
        "partition": 1,
        "offset": 2,
        "timestamp_ms": 3,
        "reason": "r",
        "detail": "d",
        "byte": 4,
        "new": "n",
    }
    fastavro.schemaless_writer(out, fastavro.parse_schema(older), row)
    reader = Codec(lookup=lambda _: json.dumps(older))
    assert reader.decode(b"\0\0\0\0\x01" + out.getvalue()) == LateRecord("t", 1, 2, 3, "r", "d", 4, b"")


def test_columns_that_do_not_fit_are_refused() -> None:
    row = codec.to_row(RECORDS[0])
    row["cells"] = {**CELLS.columns(), "count": b"\0" * 8}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema("partial_batch").parsed, row)
    with pytest.raises(CorruptRecord) as error:
        codec.decode(single_object(schema("partial_batch")) + out.getvalue())
    assert error.value.reason == corrupt.COLUMNS


def test_other_refusals() -> None:
    with pytest.raises(NotEncodable):
        codec.encode(dataclasses.replace(RECORDS[2], state="melting"))  # type: ignore[call-arg]
    with pytest.raises(NotEncodable):
        codec.encode(dataclasses.replace(RECORDS[8], original="text"))  # type: ignore[call-arg]
    with pytest.raises(CorruptRecord) as error:
        codec.decode(bytes(MESSAGE_BYTES + 1))
    assert error.value.reason == corrupt.SIZE
    with pytest.raises(CorruptRecord) as error:
        codec.decode(single_object(schema("slo_group")) + b"\0\0\0")
    assert error.value.reason == corrupt.UNKNOWN_SCHEMA
