"""Framing: single-object encoding and Confluent's prefix, byte by byte."""

from __future__ import annotations

import json

import pytest

from schemas import corrupt
from schemas.bundled import names, released, schema
from schemas.corrupt import CorruptRecord
from schemas.framing import Schema, WriterSchemas, confluent, single_object
from schemas.limits import KNOWN_SCHEMAS
from schemas.telemetry_schema import BATCH_SCHEMA, EVENT, EVENT_SCHEMA
from schemas.walk import NotASchema

COMMAND = schema("command")


def test_the_fingerprint_is_that_of_the_specification() -> None:
    # CRC-64-AVRO of the canonical form, bit by bit as in the Avro specification's pseudo code
    empty = 0xC15D213AA4D7A795
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (empty & -(value & 1))  # noqa: PLW2901
        table.append(value)
    crc = empty
    canonical = '{"name":"a.R","type":"record","fields":[{"name":"x","type":"long"}]}'
    for byte in canonical.encode():
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    text = '{"type": "record", "namespace": "a", "name": "R", "doc": "d", "fields": [{"type": "long", "name": "x"}]}'
    assert Schema.of(text).fingerprint == crc.to_bytes(8, "little")


def test_headers() -> None:
    assert single_object(EVENT) == b"\xc3\x01" + EVENT.fingerprint
    assert confluent(258) == b"\x00\x00\x00\x01\x02"
    with pytest.raises(ValueError, match="32 bits"):
        confluent(2**32)


def test_schemas_are_found_by_fingerprint_and_id() -> None:
    asked: list[int] = []

    def lookup(schema_id: int) -> str | None:
        asked.append(schema_id)
        return {1: json.dumps(COMMAND.definition), 2: json.dumps(EVENT.definition)}.get(schema_id)

    known = WriterSchemas([COMMAND], lookup)
    assert known.of(single_object(COMMAND) + b"x") == (COMMAND, 10)
    assert known.of(confluent(1)) == (COMMAND, 5)  # the bundled schema itself, not a copy
    with pytest.raises(CorruptRecord) as error:
        known.of(single_object(EVENT))
    assert error.value.reason == corrupt.UNKNOWN_SCHEMA
    assert known.of(confluent(2))[0].fingerprint == EVENT.fingerprint
    assert known.of(single_object(EVENT))[0].name == "TelemetryEvent"  # learnt through its id
    assert known.by_id(1) is COMMAND
    assert asked == [1, 2]


def test_absent_ids_are_asked_again_only_when_told() -> None:
    asked: list[int] = []
    known = WriterSchemas([], asked.append)
    assert known.by_id(4) is known.by_id(4) is None
    assert asked == [4]
    known.ask_again()
    assert known.by_id(4) is None
    assert asked == [4, 4]


def test_the_cache_of_ids_is_bounded() -> None:
    known = WriterSchemas([COMMAND], lambda _: json.dumps(COMMAND.definition))
    for schema_id in range(KNOWN_SCHEMAS + 5):
        assert known.by_id(schema_id) is COMMAND
    assert len(known._by_id) <= KNOWN_SCHEMAS


@pytest.mark.parametrize(
    "text", ["", "{", "5", '"string"', '{"type": "record", "name": "R"}', '{"type": "record", "fields": []}']
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(NotASchema):
        Schema.of(text)


def test_bundled_schemas_have_names_docs_and_defaults() -> None:
    assert len(names()) == 14
    for name in names():
        assert schema(name) is schema(name)
        for field in fields_of(schema(name).definition):
            assert len(str(field.get("doc", ""))) > 3, (name, field["name"])
            assert "default" in field, (name, field["name"])
    assert {each.name for each in released()} >= {"TelemetryEvent", "TelemetryBatch"}
    assert EVENT_SCHEMA["name"] == "tocsin.TelemetryEvent"
    assert BATCH_SCHEMA["name"] == "tocsin.TelemetryBatch"


def fields_of(node: object) -> list[dict[str, object]]:
    """All fields of all records inside; enums and records must have a doc, enums a default symbol."""
    if isinstance(node, list):
        return [field for item in node for field in fields_of(item)]
    if not isinstance(node, dict):
        return []
    if node.get("type") in ("record", "enum"):
        assert node.get("doc"), node["name"]
    if node.get("type") == "enum":
        assert node["default"] in node["symbols"]
    fields = list(node.get("fields", []))
    inside = [fields_of(node.get(key)) for key in ("type", "items")] + [fields_of(field["type"]) for field in fields]
    return fields + [field for found in inside for field in found]
