"""Fields as Google's runtime writes them (whole messages: tests/fleet/test_wire.py), and what is no field."""

import struct

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import protobuf


def only(message) -> protobuf.Value:
    """The value of field 1."""
    return dict(protobuf.fields(memoryview(message.SerializeToString())))[1]


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1).filter(bool), st.text(min_size=1), st.floats(width=32).filter(lambda x: x != 0))
def test_values(number, text, real):
    assert protobuf.signed(protobuf.whole(only(wrappers_pb2.Int64Value(value=number)))) == number
    assert protobuf.text(only(wrappers_pb2.StringValue(value=text))) == text
    assert struct.pack("<d", protobuf.double(only(wrappers_pb2.DoubleValue(value=real)))) == struct.pack("<d", real)
    assert struct.pack("<f", protobuf.single(only(wrappers_pb2.FloatValue(value=real)))) == struct.pack("<f", real)


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x05abc", b"\x0b", b"\x09\x00", b"\xff" * 11, b"\x08", b"\x80"])
def test_what_is_no_field_is_refused(data):
    with pytest.raises(ValueError, match=r"\w"):
        list(protobuf.fields(memoryview(data)))


def test_a_value_of_another_type_is_refused():
    for read, value in (
        (protobuf.text, 1), (protobuf.double, b"\0" * 4), (protobuf.single, b"\0" * 8), (protobuf.whole, b""),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            read(value)


def test_packed_numbers():
    assert protobuf.packed(memoryview(b"\x01\x96\x01\x00")) == [1, 150, 0]


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_raise_anything_else(data):
    try:
        for _, value in protobuf.fields(memoryview(data)):
            assert isinstance(value, int | memoryview)
    except ValueError:
        pass
