"""OpenTelemetry's log records over HTTP: both encodings, partial success, repeats, and a real SDK."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from gateway.accesslog import AccessLog
from gateway.door import Door, Route, anybody
from gateway.identity import ANYBODY
from gateway.intake import Intake
from gateway.limits import LOG_BATCH_BYTES
from gateway.memory import Budget
from gateway.otlp.logs import PATH, Logs, converted
from gateway.otlp.route import refused
from gateway.otlp.wire import JSON, PROTOBUF, message_of
from gateway.refusal import Refusal, busy
from gateway.verdicts import judged
from schemas import limits
from schemas.logs import LOGS, LogBatch, read_logs
from tests.gateway.making import BASE_MS, listening, send
from tests.gateway.test_intake import Kept


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
async def url(kept, large):
    route = Route("POST", Logs(Intake(kept), Budget(64 << 20), large), refused=refused)
    async with listening(Door({PATH: route}, anybody, AccessLog("none"))) as (host, port, _):
        yield f"http://{host}:{port}{PATH}"


def request(**resource: str):
    """(request, log records) of one resource and scope."""
    found = ExportLogsServiceRequest()
    logs = found.resource_logs.add()
    for key, value in ({"service.name": "shop", "service.instance.id": "shop-1"} | resource).items():
        logs.resource.attributes.add(key=key).value.string_value = value
    scope = logs.scope_logs.add()
    scope.scope.name = "shop.cart"
    return found, scope.log_records


def add(records, body: str = "text", **fields):
    record = records.add(**{"time_unix_nano": BASE_MS * 1_000_000, "severity_number": 17, **fields})
    record.body.string_value = body
    return record


def batches(kept) -> list[LogBatch]:
    return [read_logs(LOGS, value, 10) for _, value, _ in kept.records]


def partial(got) -> tuple[int, str]:
    found = ExportLogsServiceResponse.FromString(got.body).partial_success
    return found.rejected_log_records, found.error_message


async def test_a_record_with_all_its_fields(url, kept):
    found, records = request(**{"service.version": "2", "cloud.region": "eu", "host.name": "h"})
    record = add(
        records,
        severity_text="ERROR",
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        observed_time_unix_nano=BASE_MS * 1_000_000 + 2_000_000,
        event_name="pay.failed",
        dropped_attributes_count=3,
    )
    record.attributes.add(key="n").value.int_value = 7
    got = await send(url, found.SerializeToString(), PROTOBUF)
    assert (got.status, got.headers["Content-Type"], got.body) == (200, PROTOBUF, b"")
    (batch,) = batches(kept)
    (one,) = batch.records
    assert kept.records[0][0] == b"shop"
    assert (batch.source, batch.resource.service, batch.resource.version, batch.resource.region) == (
        "shop-1",
        "shop",
        "2",
        "eu",
    )
    assert (one.time_ms, one.observed_ms, one.severity, one.severity_text) == (BASE_MS, BASE_MS + 2, 17, "ERROR")
    assert (one.event, one.body, one.left_out) == ("pay.failed", "text", 3)
    assert one.attributes == {"n": "7", "otel.scope.name": "shop.cart"}
    assert (one.trace_id, one.span_id) == (b"t" * 16, b"s" * 8)


async def test_json(url, kept):
    body = {"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeLogs": [{"logRecords": [{
            "timeUnixNano": str(BASE_MS * 1_000_000), "severityNumber": 9, "traceId": "ab" * 16, "spanId": "cd" * 8,
            "body": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}},
            "attributes": [{"key": "event.name", "value": {"stringValue": "cart.open"}}], "unknown": 1,
        }]}],
    }]}  # fmt: skip
    got = await send(url, json.dumps(body).encode(), JSON)
    assert (got.status, got.json()) == (200, {})
    (one,) = batches(kept)[0].records
    assert (one.body, one.event, one.attributes, one.trace_id.hex()) == ('{"a":1}', "cart.open", {}, "ab" * 16)


async def test_bad_records_cost_themselves_and_what_is_too_long_is_cut(url, kept):
    found, records = request()
    add(records, "good")
    add(records, time_unix_nano=0)
    add(records, severity_number=25)
    long = add(records, "x" * (limits.LOG_BODY_CHARS + 1), trace_id=b"odd")
    for number in range(limits.LOG_ATTRIBUTES + 3):
        long.attributes.add(key=f"k{number}").value.string_value = "v" * (limits.LOG_VALUE_CHARS + (number == 0))
    got = await send(url, found.SerializeToString(), PROTOBUF)
    rejected, message = partial(got)
    assert (got.status, rejected) == (200, 2)
    assert "needs its time" in message
    assert "0 to 24" in message
    assert "6 texts or attributes were cut or left out" in message
    good, cut = batches(kept)[0].records
    assert (good.body, len(cut.body), len(cut.attributes), cut.left_out) == (
        "good",
        limits.LOG_BODY_CHARS,
        limits.LOG_ATTRIBUTES,
        6,
    )


async def test_a_resource_without_a_source(url, kept):
    found = ExportLogsServiceRequest()
    add(found.resource_logs.add().scope_logs.add().log_records)
    assert partial(await send(url, found.SerializeToString(), PROTOBUF))[0] == 1
    assert kept.records == []


async def test_the_same_request_again_is_known(url, kept):
    found, records = request()
    add(records)
    body = found.SerializeToString()
    for _ in range(2):
        assert (await send(url, body, PROTOBUF)).status == 200
    assert len(kept.records) == 1
    add(records, "another")
    await send(url, found.SerializeToString(), PROTOBUF)
    assert len({batch.sequence for batch in batches(kept)}) == 2


async def test_much_is_cut_into_batches_that_are_good(url, kept):
    found, records = request()
    for number in range(limits.LOG_RECORDS + 5):
        add(records, str(number))
    for number in range(70):
        add(records, f"{number}" + "\U0001f600" * limits.LOG_BODY_CHARS)
    assert partial(await send(url, found.SerializeToString(), PROTOBUF))[0] == 0
    assert sum(len(batch.records) for batch in batches(kept)) == limits.LOG_RECORDS + 75
    assert len({batch.sequence for batch in batches(kept)}) == len(kept.records) > 5
    assert all(len(value) <= limits.RECORD_BYTES for _, value, _ in kept.records)


async def test_one_record_that_no_batch_can_hold(url, kept):
    found, records = request()
    big = add(records)
    for number in range(limits.LOG_ATTRIBUTES):
        big.attributes.add(key=f"k{number}").value.string_value = "\U0001f600" * limits.LOG_VALUE_CHARS
    rejected, message = partial(await send(url, found.SerializeToString(), PROTOBUF))
    assert (rejected, f"more than {LOG_BATCH_BYTES} bytes" in message) == (1, True)


@pytest.mark.parametrize(
    ("kind", "body", "status"), [("text/plain", b"", 415), (PROTOBUF, b"\xff", 400), (JSON, b"[]", 400)]
)
async def test_refusals_are_a_status(url, kind, body, status):
    assert (await send(url, body, kind)).status == status


async def test_brokers_away_are_503_with_retry_after(url, kept):
    kept.error = busy("broker", "away", 2)
    found, records = request()
    add(records)
    got = await send(url, found.SerializeToString(), PROTOBUF)
    assert (got.status, got.headers["Retry-After"]) == (503, "2")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_hostile_bytes(data):
    try:
        found = message_of(data, PROTOBUF, ExportLogsServiceRequest)
    except Refusal:
        return
    gathered, _ = asyncio.run(converted(found, ANYBODY, data))
    for one in gathered.framed:
        assert not hasattr(judged(one.value, ANYBODY), "reason")


async def test_a_real_sdk(url, kept):
    """OpenTelemetry's own Python SDK: what was logged is what arrives."""
    await asyncio.to_thread(log_with_the_sdk, url)
    records = [record for batch in batches(kept) for record in batch.records]
    assert [record.body for record in records] == [f"order {number}" for number in range(600)]
    assert {record.severity for record in records} == {17}
    assert records[5].attributes["shop.order"] == "5"
    assert all(batch.resource.service == "shop" for batch in batches(kept))
    assert len(records[0].trace_id) == 0


def log_with_the_sdk(url: str) -> None:
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create({"service.name": "shop", "service.instance.id": "shop-1"})
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    exporter = OTLPLogExporter(endpoint=url, compression=Compression.Gzip)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("cart")
    for number in range(600):
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.ERROR,
                body=f"order {number}",
                attributes={"shop.order": number},
            )
        )
    assert provider.force_flush()
    provider.shutdown()


def test_no_body_holds_the_loop_for_long():
    """Each resource's batches have numbers of their own; what they are made from must not be the whole body again."""
    body = b"\x0a\x00" * 100_000
    message = message_of(body, PROTOBUF, ExportLogsServiceRequest)
    began = time.thread_time()
    found, _ = asyncio.run(converted(message, ANYBODY, body))
    assert time.thread_time() - began < 5.0
    assert not found.framed


async def test_a_structured_body_without_end_is_cut_and_told(url, kept):
    found, records = request()
    record = add(records)
    record.body.array_value.values.extend([AnyValue(int_value=1)] * 500_000)
    rejected, message = partial(await send(url, found.SerializeToString(), PROTOBUF))
    assert (rejected, message) == (0, "1 texts or attributes were cut or left out")
    (kept_record,) = batches(kept)[0].records
    assert len(kept_record.body) == limits.LOG_BODY_CHARS
    assert kept_record.left_out == 1


async def test_two_resources_of_one_request_have_numbers_of_their_own(url, kept):
    found, records = request()
    add(records)
    found.resource_logs.append(found.resource_logs[0])
    assert (await send(url, found.SerializeToString(), PROTOBUF)).status == 200
    assert len({batch.sequence for batch in batches(kept)}) == 2
    await send(url, found.SerializeToString(), PROTOBUF)
    assert len(kept.records) == 2, "the same request again is known"
