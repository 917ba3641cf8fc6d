"""Batches of log records: what is good comes back as it was, what is not is refused with its place."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from schemas.bundled import released
from schemas.corrupt import CorruptRecord
from schemas.encoding import Resource
from schemas.framing import WriterSchemas
from schemas.logs import LOGS, LogBatch, LogRecord, encode_logs, read_logs, severity_name
from schemas.records import SourceKind

RECORD = LogRecord(5, 6, 17, "ERROR", "pay.failed", "text", {"a": "b"}, b"t" * 16, b"s" * 8, 1)
BATCH = LogBatch("s", "b", 3, Resource("shop", "7", "", "eu", SourceKind.WEB, {"rollout": "42"}), (RECORD,), 1, 2, 3, 4)


def read(data: bytes) -> LogBatch:
    writer, at = WriterSchemas([*released(), LOGS]).of(data)
    return read_logs(writer, data, at)


def test_there_and_back() -> None:
    assert read(encode_logs(BATCH)) == BATCH
    assert BATCH.key == b"shop"
    assert dataclasses.replace(BATCH, resource=Resource()).key == b"s"
    assert (RECORD.at_ms, LogRecord(0, 6).at_ms) == (5, 6)


@pytest.mark.parametrize(
    ("changed", "reason", "told"),
    [
        ({"time_ms": -1}, "time", "record 1: times -1"),
        ({"observed_ms": 2**53}, "time", "record 1"),
        ({"severity": 25}, "severity", "a severity of 25"),
        ({"severity_text": "x" * 33}, "size", "severity_text of 33"),
        ({"event": "x" * 129}, "size", "event of 129"),
        ({"body": "x" * (limits.LOG_BODY_CHARS + 1)}, "size", "body of"),
        ({"attributes": {str(n): "" for n in range(65)}}, "size", "65 attributes"),
        ({"attributes": {"k" * 129: ""}}, "size", "129 + 0"),
        ({"attributes": {"k": "v" * 4097}}, "size", "1 + 4097"),
        ({"trace_id": b"odd"}, "trace_id", "3 bytes"),
        ({"span_id": b"odd"}, "trace_id", "3"),
    ],
)
def test_what_is_beyond_a_limit_is_named(changed: dict, reason: str, told: str) -> None:
    bad = dataclasses.replace(BATCH, records=(RECORD, dataclasses.replace(RECORD, **changed)))
    with pytest.raises(CorruptRecord) as caught:
        read(encode_logs(bad))
    assert caught.value.reason == reason
    assert told in caught.value.detail
    assert caught.value.byte > 10


@pytest.mark.parametrize(
    "changed",
    [
        {"source": "x" * 129},
        {"boot": "x" * 129},
        {"records": (RECORD,) * (limits.LOG_RECORDS + 1)},
        {"resource": Resource(service="x" * 257)},
        {"resource": Resource(attributes={"k": "v" * 257})},
    ],
)
def test_a_batch_beyond_a_limit(changed: dict) -> None:
    with pytest.raises(CorruptRecord, match="size"):
        read(encode_logs(dataclasses.replace(BATCH, **changed)))


@given(st.binary(max_size=300), st.integers(0, 79), st.integers(0, 255))
def test_damage_is_found_or_harmless(noise: bytes, at: int, byte: int) -> None:
    good = encode_logs(BATCH)
    for data in (
        good[:10] + noise,
        good[:10] + noise + good[10:],
        good[: at + 10] + bytes([byte]) + good[at + 11 :],
        good[:at],
    ):
        try:
            read(data)
        except CorruptRecord:
            continue


def test_severities_by_name() -> None:
    assert [severity_name(number) for number in (0, 1, 4, 5, 9, 13, 17, 21, 24, 25, -1)] == [
        "", "trace", "trace", "debug", "info", "warn", "error", "fatal", "fatal", "", "",
    ]  # fmt: skip
