"""Log records at the gateway's own door: as JSON and as Avro, beside measurements, to their topic."""

from __future__ import annotations

import json

import pytest

from gateway.identity import ANYBODY, Identity
from gateway.intake import Intake
from gateway.jsonbatch import framed, parsed
from gateway.limits import SHED_FROM
from gateway.quotas import Quotas, Rates
from gateway.refusal import Refusal, busy
from gateway.split import Split
from gateway.verdicts import Verdict, are_logs
from schemas.encoding import Resource
from schemas.logs import LOGS, LogBatch, LogRecord, encode_logs, read_logs
from tests.gateway.making import BASE_MS, batch
from tests.gateway.test_intake import Kept, statuses

ERROR = {
    "time_ms": BASE_MS, "severity": "ERROR", "severity_text": "E", "event": "page.error", "body": "oh", "left_out": 2,
    "attributes": {"path": "/cart"}, "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
}  # fmt: skip


def plain(*records: object, **changed: object) -> dict:
    resource = {"service": "shop", "source_kind": "web"}
    return {
        "source": "page-1",
        "boot": "b",
        "sequence": 0,
        "sent_ms": BASE_MS + 5,
        "resource": resource,
        "records": list(records),
    } | changed


def logs(sequence: int = 0, source: str = "source-1", service: str = "made") -> bytes:
    return encode_logs(LogBatch(source, "boot", sequence, Resource(service=service), (LogRecord(1), LogRecord(2))))


def test_an_object_with_records() -> None:
    (found,) = parsed(json.dumps(plain(ERROR, {"time_ms": 7, "severity": 3})).encode())
    value = framed(found, ANYBODY)
    assert isinstance(value, bytes)
    made = read_logs(LOGS, value, 10)
    assert (made.source, made.boot, made.sequence, made.sent_wall_ms) == ("page-1", "b", 0, BASE_MS + 5)
    first, second = made.records
    assert (first.severity, first.severity_text, first.event, first.body) == (17, "E", "page.error", "oh")
    assert (first.attributes, first.left_out, first.observed_ms) == ({"path": "/cart"}, 2, BASE_MS)
    assert (first.trace_id.hex(), first.span_id.hex()) == (ERROR["trace_id"], ERROR["span_id"])
    assert (second.time_ms, second.severity, second.body) == (7, 3, "")


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({}, "records[0].time_ms"),
        ({"time_ms": 1, "severity": "loud"}, "records[0].severity"),
        ({"time_ms": 1, "severity": 25}, "records[0].severity"),
        ({"time_ms": 1, "severity": True}, "records[0].severity"),
        ({"time_ms": 1, "body": 5}, "records[0].body"),
        ({"time_ms": 1, "attributes": {"a": 1}}, "records[0].attributes"),
        ({"time_ms": 1, "span_id": "xyz"}, "records[0].span_id"),
        ({"time_ms": 1, "text": ""}, "'text'"),
        ([], "records[0]"),
    ],
)
def test_a_bad_record_is_named(record: object, place: str) -> None:
    found = framed(plain(record), ANYBODY)
    assert isinstance(found, Verdict)
    assert place in found.detail


def test_both_kinds_do_not_go_in_one_batch() -> None:
    found = framed(plain(ERROR, measurements=[]), ANYBODY)
    assert isinstance(found, Verdict)
    assert "measurements" in found.detail
    assert isinstance(framed(plain(), ANYBODY), Verdict), "no records at all"


async def test_each_goes_to_its_topic_with_one_answer() -> None:
    telemetry, records = Kept(), Kept()
    intake = Intake(Split(telemetry, records))
    given = [batch(sequence=0), logs(0), logs(1), batch(sequence=1), b"noise"]
    assert statuses(await intake.take(ANYBODY, given)) == ["stored"] * 4 + ["rejected"]
    assert [value for _, value, _ in telemetry.records] == [given[0], given[3]]
    assert [(key, value) for key, value, _ in records.records] == [(b"made", given[1]), (b"made", given[2])]
    again = await intake.take(ANYBODY, given[:4])
    assert statuses(again) == ["duplicate"] * 4, "each kind is counted by itself"


async def test_what_the_broker_refuses_for_good_keeps_its_place() -> None:
    telemetry, records = Kept(), Kept()
    records.for_good = {1: "too large"}
    found = await Intake(Split(telemetry, records)).take(ANYBODY, [logs(0), batch(), logs(1)])
    assert statuses(found) == ["stored", "stored", "rejected"]


async def test_a_topic_of_logs_that_is_away_stops_no_measurement() -> None:
    telemetry, records = Kept(), Kept()
    records.error = busy("broker", "away", 2)
    intake = Intake(Split(telemetry, records))
    assert statuses(await intake.take(ANYBODY, [batch()])) == ["stored"]
    with pytest.raises(Refusal):
        await intake.take(ANYBODY, [batch(sequence=1), logs()])
    records.error = None
    assert statuses(await intake.take(ANYBODY, [batch(sequence=1), logs()])) == ["stored", "stored"]


async def test_sources_quotas_and_shedding_hold_for_logs() -> None:
    kept = Kept()
    mine = Identity("k", "fleet", source="source-1")
    assert statuses(await Intake(kept).take(mine, [logs(0, "other"), logs(0)])) == ["rejected", "stored"]
    few = Intake(kept, Quotas(Rates(measurements=0.1), Rates(), 1.0))
    assert statuses(await few.take(ANYBODY, [logs(0), logs(1)])) == ["stored", "retry"]
    short = Intake(kept, pressure=lambda: SHED_FROM, watched=frozenset({"made.count"}))
    assert statuses(await short.take(ANYBODY, [logs(), batch()])) == ["retry", "stored"], "what SLOs read goes first"


def test_what_logs_are() -> None:
    assert are_logs(logs())
    assert not are_logs(batch())
    assert not are_logs(b"")
