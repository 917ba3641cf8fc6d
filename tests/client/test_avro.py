"""Avro: the pieces are what an Avro library writes."""

from __future__ import annotations

import io

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st
from tocsin import avro


def written(schema: object, value: object) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, schema, value)  # type: ignore[arg-type]
    return out.getvalue()


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers(value: int) -> None:
    assert avro.long(value) == written("long", value)


@pytest.mark.parametrize("value", [0, -1, 1, 63, 64, -64, -65, 2**63 - 1, -(2**63)])
def test_numbers_at_their_edges(value: int) -> None:
    assert avro.long(value) == written("long", value)


@given(st.binary(max_size=300))
def test_bytes(value: bytes) -> None:
    assert avro.blob(value) == written("bytes", value)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_maps_of_text(value: dict[str, str]) -> None:
    assert avro.mapping(value.items()) == written({"type": "map", "values": "string"}, value)


@given(st.lists(st.integers(-1000, 1000), max_size=5))
def test_arrays(value: list[int]) -> None:
    items = [avro.long(item) for item in value]
    assert avro.array(items) == written({"type": "array", "items": "long"}, value)
