"""JSON batches become records, or say which value is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity import ANYBODY, Identity
from gateway.jsonbatch import framed, parsed
from gateway.limits import JSON_BYTES, MEASUREMENTS, RECORDS
from gateway.refusal import Refusal
from gateway.verdicts import Record, Verdict, judged, read
from schemas.records import MeasureKind, SourceKind
from tests.gateway.making import BASE_MS

ONE = {"metric": "page.load", "kind": "histogram", "unit": "ms", "value": 812.5, "time_ms": BASE_MS}
FULL = {
    "source": "shop-7",
    "boot": "b",
    "sequence": 4,
    "sent_ms": BASE_MS + 9,
    "resource": {"service": "shop", "version": "2", "source_kind": "web", "attributes": {"browser": "x"}},
    "measurements": [
        {**ONE, "labels": {"route": "/"}, "outcome": "good", "trace_id": "0af7651916cd43dd8448eb211c80319c"},
        {**ONE, "labels": {"route": "/"}, "outcome": "bad", "time_ms": BASE_MS + 5},
        {"metric": "cart.size", "value": -3, "time_ms": BASE_MS - 5},
    ],
}


def test_everything_arrives_as_it_was_said():
    data = framed(FULL, ANYBODY)
    assert isinstance(data, bytes)
    row = read(data)
    assert (row.source, row.boot, row.sequence) == ("shop-7", "b", 4)
    assert [(row.definitions[at].metric, row.definitions[at].kind) for at in row.series] == [
        ("page.load", MeasureKind.HISTOGRAM), ("page.load", MeasureKind.HISTOGRAM), ("cart.size", MeasureKind.GAUGE)
    ]  # fmt: skip
    assert row.definitions[0].labels == {"service": "shop", "version": "2", "route": "/"}
    assert row.definitions[0].source_kind == SourceKind.WEB
    assert row.time_ms.tolist() == [BASE_MS, BASE_MS + 5, BASE_MS - 5]
    assert row.value.tolist() == [812.5, 812.5, -3.0]
    assert row.outcome.tolist() == [1, 0, 2]
    assert row.stamps == (BASE_MS + 9, 0, BASE_MS + 9, 0), "one clock, and no forward one"
    assert row.exemplars == [(0, bytes.fromhex("0af7651916cd43dd8448eb211c80319c"))]


def test_what_is_left_out_comes_from_the_identity_and_is_not_deduplicated():
    data = framed({"measurements": [ONE]}, Identity("key", "shop", source="shop-web"))
    assert isinstance(data, bytes)
    row = read(data)
    assert (row.source, row.sequence) == ("shop-web", -1)
    assert row.stamps == (0, 0, 0, 0), "whose clock is not told is not corrected"
    assert isinstance(judged(data, Identity("key", "shop", source="shop-web")), Record)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"value": "1"}, "measurements[0].value"),
        ({"value": True}, "measurements[0].value"),
        ({"value": float("nan")}, "measurements[0].value"),
        ({"value": None}, "measurements[0].value"),
        ({"time_ms": 1.5}, "measurements[0].time_ms"),
        ({"time_ms": -1}, "measurements[0].time_ms"),
        ({"time_ms": 2**53}, "measurements[0].time_ms"),
        ({"metric": ""}, "measurements[0].metric"),
        ({"metric": 7}, "measurements[0].metric"),
        ({"kind": "sum"}, "measurements[0].kind"),
        ({"labels": {"a": 1}}, "measurements[0].labels"),
        ({"labels": []}, "measurements[0].labels"),
        ({"outcome": 1}, "measurements[0].outcome"),
        ({"outcome": "fine"}, "measurements[0].outcome"),
        ({"outcome": []}, "measurements[0].outcome"),
        ({"trace_id": "0af7"}, "measurements[0].trace_id"),
        ({"trace_id": "zz"}, "measurements[0].trace_id"),
        ({"valeu": 1}, "no field 'valeu'"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(changed, place):
    found = framed({"source": "s", "measurements": [{**ONE, **changed}]}, ANYBODY)
    assert isinstance(found, Verdict)
    assert found.reason == "json"
    assert place in found.detail


@pytest.mark.parametrize(
    "wrong",
    [
        None, 7, "x", [], {}, {"measurements": []}, {"measurements": {}}, {"measurements": [ONE], "sequence": -1.5},
        {"measurements": [ONE], "source": 7}, {"measurements": [ONE], "resource": {"source_kind": "car"}},
        {"measurements": [ONE], "sequence": 2**63}, {"measurements": [ONE], "tenant": "other"},
        {"measurements": [ONE, {**ONE, "time_ms": BASE_MS + 2**32}]}, {"measurements": [{**ONE, "metric": "\ud800"}]},
    ],
)  # fmt: skip
def test_a_wrong_batch_is_a_verdict(wrong):
    assert isinstance(framed(wrong, ANYBODY), Verdict)


def test_limits_of_the_contract_are_judged_on_the_record():
    data = framed({"source": "s", "measurements": [{**ONE, "value": 2.0**43}]}, ANYBODY)
    assert isinstance(data, bytes)
    found = judged(data, ANYBODY)
    assert isinstance(found, Verdict)
    assert found.reason == "value"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5_000, b'{"a":' * 2_000])
def test_what_is_not_json_is_refused_as_a_whole(body):
    with pytest.raises(Refusal) as caught:
        parsed(body)
    assert caught.value.status == 400


def test_one_object_or_several():
    assert parsed(json.dumps(FULL).encode()) == [FULL]
    assert parsed(json.dumps([FULL, 7]).encode()) == [FULL, 7]


@pytest.mark.parametrize(
    "body",
    [
        b" " * (JSON_BYTES + 1),
        json.dumps([0] * (RECORDS + 1)).encode(),
        json.dumps({"measurements": [0] * (MEASUREMENTS + 1)}).encode(),
    ],
)
def test_too_much_is_refused_as_a_whole(body):
    with pytest.raises(Refusal) as caught:
        parsed(body)
    assert caught.value.status == 413


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FULL, *ONE, "labels", "outcome"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
@settings(max_examples=300, deadline=None)
def test_no_json_raises(found):
    data = framed(found, ANYBODY)
    if isinstance(data, bytes):
        judged(data, ANYBODY)
