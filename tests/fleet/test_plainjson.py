"""JSON as protobuf's runtime writes it, and what is not (what both encodings share: test_wire)."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import plainjson
from fleet.messages import Gap, Link, State
from schemas.corrupt import FRAMING, CorruptRecord


def test_a_brace_tells_the_two_encodings_apart():
    assert plainjson.is_json(b'{"data": []}')
    assert not plainjson.is_json(b"\x0a\x00")


def test_values_as_servers_write_them():
    data = [
        {"key": "Odometer", "value": {"longValue": "12"}},
        {"key": 10, "value": {"shiftStateValue": 2}},
        {"key": "field_300", "value": None},
    ]
    found = plainjson.signals(json.dumps({"data": data, "createdAt": "2024-01-01T00:00:00.123456789Z"}).encode())
    assert found.values == ((5, 12.0), (10, State("ShiftState", "P")), (300, Gap.MISSING))
    assert found.created_ms == 1_704_067_200_123
    assert plainjson.signals(b'{"isResend": false, "createdAt": null}').created_ms == 0


def test_a_link_of_an_unknown_name_is_unknown():
    assert plainjson.connectivity(b'{"status": "SOMETHING"}').link is Link.UNKNOWN


@pytest.mark.parametrize(
    ("told", "is_"),
    [("Unknown", "unknown"), ("ServiceFix", "service_fix"), ("SOMEBODY", "other"), (2, "service"), (-1, "other")],
)
def test_names_of_audiences_however_a_server_spells_them(told, is_):
    (alert,) = plainjson.alerts(json.dumps({"alerts": [{"audiences": [told]}]}).encode()).reports
    assert alert.audiences == (is_,)


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (plainjson.signals, {"data": [{"key": "Version", "value": {"stringValue": "\ud800"}}]}),
        (plainjson.alerts, {"alerts": [{"name": "\udfff"}]}),
        (plainjson.errors, {"errors": [{"tags": {"\ud800": ""}}]}),
        (plainjson.connectivity, {"connectionId": "a\ud800b"}),
    ],
)
def test_half_a_character_is_refused_it_would_end_whoever_writes_it(reader, said):
    with pytest.raises(CorruptRecord) as refused:
        reader(json.dumps(said).encode())
    assert refused.value.reason == FRAMING


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"data": 3}', '{"vin": 3}', '{"createdAt": "yesterday"}', '{"createdAt": "2024-01-01T00:00:00"}',
        '{"data": [{"value": {"intValue": true}}]}', '{"data": [{"value": {"intValue": "hidden words"}}]}',
        '{"data": ' + "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_without_a_word_of_it(text):
    with pytest.raises(CorruptRecord) as refused:
        plainjson.signals(text.encode())
    assert refused.value.reason == FRAMING
    assert "hidden" not in str(refused.value)
    assert "yesterday" not in str(refused.value)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda part: st.lists(part) | st.dictionaries(
    st.sampled_from(["data", "key", "value", "createdAt", "vin", "stringValue", "doorValue", "alerts"]) | st.text(), part
), max_leaves=8))  # fmt: skip
def test_no_json_raises_anything_else(value):
    data = json.dumps(value).encode()
    for reader in (plainjson.signals, plainjson.alerts, plainjson.errors, plainjson.connectivity):
        with contextlib.suppress(CorruptRecord):
            reader(data)
