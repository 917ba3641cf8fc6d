"""Each record is judged by itself, and a bad one is named with reason and byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity import ANYBODY, Identity
from gateway.verdicts import REJECTED, Record, Verdict, judged
from schemas import corrupt
from schemas.encoding import Producer, Resource, SeriesEntry, encode_event
from tests.gateway.making import BASE_MS, batch


def test_a_good_batch_is_a_record_with_its_bytes_untouched():
    data = batch("car-7", 3, rows=4)
    found = judged(data, ANYBODY)
    assert isinstance(found, Record)
    assert (found.value, found.source, found.boot, found.sequence, found.measurements) == (data, "car-7", "boot", 3, 4)
    assert found.metrics == {"made.count", "made.level"}


def test_a_single_event_is_one_too():
    data = encode_event(SeriesEntry("door.open"), Resource(), Producer("door", "b"), time_ms=BASE_MS, value=1.0)
    found = judged(data, ANYBODY)
    assert isinstance(found, Record)
    assert found.measurements == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", corrupt.FRAMING),
        (b"{}", corrupt.FRAMING),
        (batch()[:-1], corrupt.TRUNCATED),
        (batch() + b"\0", corrupt.TRAILING),
        (batch(crc32=1), corrupt.CRC),
        (batch()[:2] + b"12345678" + batch()[10:], corrupt.UNKNOWN_SCHEMA),
        (b"\0\0\0\0\1" + batch()[10:], corrupt.UNKNOWN_SCHEMA),
        (bytes(2 << 20), corrupt.SIZE),
    ],
)
def test_a_bad_record_has_a_reason_and_a_byte(data, reason):
    found = judged(data, ANYBODY)
    assert isinstance(found, Verdict)
    assert (found.status, found.reason) == (REJECTED, reason)
    assert 0 <= found.byte <= len(data)
    assert found.plain()["detail"]


@pytest.mark.parametrize("source", ["car-8", "car-70", "", "car"])
def test_a_source_that_is_not_the_identitys_is_refused(source):
    mine = Identity("key", "fleet", source="car-7")
    found = judged(batch(source), mine)
    assert isinstance(found, Verdict)
    assert found.reason == "source"
    assert isinstance(judged(batch("car-7"), mine), Record)


def test_a_family_of_sources_is_known_by_its_prefix():
    mine = Identity("key", "fleet", prefix="car-")
    assert isinstance(judged(batch("car-8"), mine), Record)
    assert isinstance(judged(batch("bus-8"), mine), Verdict)
    assert isinstance(judged(batch("x"), Identity("key", "fleet")), Verdict), "no source, no right"


@given(st.binary(max_size=400), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_no_bytes_raise(noise, keep):
    for data in (noise, batch()[:keep] + noise):
        assert isinstance(judged(data, ANYBODY), Record | Verdict)
