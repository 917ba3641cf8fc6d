"""Walk: the first wrong byte of a record, and why it is wrong."""

from __future__ import annotations

import io
import json

import fastavro
import pytest

from schemas import corrupt
from schemas.corrupt import CorruptRecord
from schemas.encoding import string
from schemas.walk import NotASchema, number, read_long, walker

NESTED = {
    "type": "record",
    "name": "a.Node",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "choice", "type": ["null", "string", {"type": "fixed", "name": "Four", "size": 4}]},
        {"name": "items", "type": {"type": "array", "items": "double"}},
        {"name": "texts", "type": {"type": "map", "values": {"type": "enum", "name": "E", "symbols": ["x", "y"]}}},
        {"name": "next", "type": ["null", "Node"]},
        {"name": "real", "type": {"type": "float"}},
    ],
}
FLAG, SMALL, NO_CHOICE, EMPTY, NO_NEXT, REAL = b"\1", number(5), number(0), number(0), number(0), bytes(4)


def walk(data: bytes) -> int:
    return walker(NESTED)(data, 0, 0)


def test_a_good_record_is_walked_to_its_end() -> None:
    row = {
        "flag": True, "small": -(2**31), "choice": b"four", "items": [1.0, 2.0], "texts": {"k": "y"},
        "next": {
            "flag": False, "small": 2**31 - 1, "choice": "\u20ac", "items": [], "texts": {}, "next": None, "real": 0.5,
        },
        "real": 1.5,
    }  # fmt: skip
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(json.dumps(NESTED))), row)
    assert walk(out.getvalue()) == len(out.getvalue())
    assert walk(out.getvalue() + b"more") == len(out.getvalue())


def test_blocks_with_sizes_are_walked() -> None:
    block = number(-2) + number(16) + bytes(16) + number(0)
    data = FLAG + SMALL + NO_CHOICE + block + EMPTY + NO_NEXT + REAL
    assert walk(data) == len(data)


@pytest.mark.parametrize(
    ("data", "reason", "byte"),
    [
        (b"", corrupt.TRUNCATED, 0),
        (b"\2", corrupt.SYMBOL, 0),
        (FLAG + number(2**31), corrupt.VARINT, 1),
        (FLAG + b"\x80", corrupt.TRUNCATED, 1),
        (FLAG + b"\xff" * 9 + b"\x02", corrupt.VARINT, 1),
        (FLAG + b"\xff" * 20, corrupt.VARINT, 1),
        (FLAG + SMALL + number(3), corrupt.SYMBOL, 2),
        (FLAG + SMALL + number(-1), corrupt.SYMBOL, 2),
        (FLAG + SMALL + number(2) + b"abc", corrupt.TRUNCATED, 3),
        (FLAG + SMALL + number(1) + number(2) + b"a\xff", corrupt.UTF8, 5),
        (FLAG + SMALL + number(1) + number(-2), corrupt.LENGTH, 3),
        (FLAG + SMALL + NO_CHOICE + number(2**62), corrupt.LENGTH, 3),
        (FLAG + SMALL + NO_CHOICE + number(-1) + number(9) + bytes(20), corrupt.LENGTH, 3),
        (FLAG + SMALL + NO_CHOICE + number(-1) + number(-9) + bytes(20), corrupt.LENGTH, 3),
        (FLAG + SMALL + NO_CHOICE + EMPTY + number(1) + string("k") + number(2), corrupt.SYMBOL, 7),
        ((FLAG + SMALL + NO_CHOICE + EMPTY + EMPTY + number(1)) * 40, corrupt.DEPTH, 32 * 6),
    ],
)
def test_the_wrong_byte_is_named(data: bytes, reason: str, byte: int) -> None:
    with pytest.raises(CorruptRecord) as error:
        walk(data)
    assert (error.value.reason, error.value.byte) == (reason, byte)
    assert str(byte) in str(error.value)


def test_field_starts() -> None:
    data = FLAG + SMALL + NO_CHOICE + EMPTY + EMPTY + NO_NEXT + REAL
    starts, end = walker(NESTED).starts(b"head" + data, 4)
    assert starts == {"flag": 4, "small": 5, "choice": 6, "items": 7, "texts": 8, "next": 9, "real": 10}
    assert end == 4 + len(data)


@pytest.mark.parametrize("value", [0, -1, 1, 63, 64, -65, 2**31, 2**63 - 1, -(2**63)])
def test_numbers(value: int) -> None:
    assert read_long(number(value), 0) == (value, len(number(value)))


@pytest.mark.parametrize(
    "schema", ["string", {"type": "record", "fields": [{"name": "a", "type": "None"}]}, {"type": 5}, []]
)
def test_what_is_no_record_schema_is_refused(schema: object) -> None:
    with pytest.raises(NotASchema):
        walker(schema)  # type: ignore[arg-type]
