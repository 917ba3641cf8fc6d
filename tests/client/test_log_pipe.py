"""Log records and events: the same promises as measurements, beside them, and bounds of their own."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from fastavro import schemaless_reader
from tocsin import Client, MemoryTransport, Rejected, limits, within_trace
from tocsin.log_record import PREFIX, SCHEMA_FILE, SEVERITIES, encoded
from tocsin.logs import LogRecords

from schemas.limits import RECORD_BYTES
from schemas.logs import LOGS, read_logs
from schemas.logs import SEVERITIES as THEIRS

SCHEMA = json.loads(files("tocsin").joinpath("_avro", SCHEMA_FILE).read_text("utf-8"))
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def batch(value: bytes) -> dict[str, Any]:
    """Read with the schema file by a library that the client does not use, and by the platform."""
    assert value[:10] == PREFIX
    read_logs(LOGS, value, 10)
    found: Any = schemaless_reader(io.BytesIO(value[10:]), SCHEMA, None)
    return dict(found)


def records(transport: MemoryTransport) -> list[dict[str, Any]]:
    """All records, in the order of sending."""
    assert transport.logs is not None
    return [record for _, value in transport.logs.records for record in batch(value)["records"]]


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def client(transport: object, **options: Any) -> Client:
    given = {"source": "s-1", "service": "shop", "version": "7", "rollout": "42", "flush_interval": 3600}
    return Client(transport=transport, **{**given, **options})  # type: ignore[arg-type]


def test_an_event_arrives_with_all_that_it_is() -> None:
    transport = MemoryTransport()
    with client(transport, kind="web") as made:
        with within_trace(TRACEPARENT):
            made.event("order.paid", "paid", severity="warn", amount=12.5, items=3, gift=True, currency="EUR")
        made.log("started", time_ms=17)
        assert made.flush(5)
        key, value = transport.logs.records[0]
        assert key == b"shop"
        found = batch(value)
        assert (found["source"], found["boot"], found["sequence"]) == ("s-1", made._logs.pump.encoder.boot, 0)
        assert found["boot"] != made.boot, "a sequence of its own needs a producer of its own"
        assert found["resource"]["service"] == "shop"
        assert found["resource"]["attributes"] == {"rollout": "42"}
        assert found["resource"]["source_kind"] == "web"
        assert 0 < found["created_wall_ms"] <= found["sent_wall_ms"]
        paid, started = found["records"]
        assert paid["attributes"] == {"amount": "12.5", "items": "3", "gift": "true", "currency": "EUR"}
        assert (paid["event"], paid["body"], paid["severity"], paid["severity_text"]) == (
            "order.paid",
            "paid",
            13,
            "WARN",
        )
        assert paid["trace_id"].hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert paid["span_id"].hex() == "00f067aa0ba902b7"
        assert paid["time_ms"] == paid["observed_ms"] > 0
        assert (started["event"], started["severity"], started["time_ms"], started["trace_id"]) == ("", 9, 17, b"")
        assert transport.records == [], "no measurement was made of it"
        assert made.log_stats.delivered == 2
    assert SEVERITIES.items() >= THEIRS.items()


def test_rules_of_privacy_and_limits_leave_out_and_count() -> None:
    transport = MemoryTransport()
    many = {f"a{number}": 1 for number in range(limits.LOG_ATTRIBUTES)}
    with client(transport, labels_deny=["person"], labels_hash=["user"], hash_key="k" * 16) as made:
        made.event(
            "e", "x" * 10_000, person="s3cret", user="s3cret", password="s3cret", odd=object(), raw=b"s3cret", ok="1"
        )
        made.log("\ud800", **many, long="y" * 2_000)
        made.flush(5)
    first, second = records(transport)
    assert b"s3cret" not in transport.logs.records[0][1]
    assert set(first["attributes"]) == {"user", "ok"}
    assert (len(first["body"]), first["body"][-1], first["left_out"]) == (limits.LOG_BODY_CHARS, "…", 5)
    assert (second["body"], len(second["attributes"]), second["left_out"]) == ("?", limits.LOG_ATTRIBUTES, 1)


def test_no_call_raises_and_each_refusal_is_counted_and_told() -> None:
    transport = MemoryTransport()
    made = client(transport)
    made.event("not a name!")
    made.event("")
    made.event("e", b"bytes")  # type: ignore[arg-type]
    made.log("t", severity="loud")
    made.log("t", severity=25)
    made.log("t", time_ms=-1)
    made.log("t", time_ms="now")  # type: ignore[arg-type]
    assert made.log_stats.refused == {"name": 2, "type": 2, "severity": 2, "time": 1}
    made.log("good")
    assert made.close()
    assert [record["body"] for record in records(transport)] == ["good"]
    made.log("after the end")
    assert made.log_stats.refused["closed"] == 1


def test_refusals_are_told_as_a_metric() -> None:
    transport = MemoryTransport()
    with client(transport, flush_interval=0.01) as made:
        made.event("not a name!")
        made.log("t")
        done = threading.Event()
        while not any(b"tocsin.client.logs_refused" in value for _, value in transport.records):
            assert not done.wait(0.01)


def test_a_transport_without_a_way_for_logs() -> None:
    class Plain:
        def send(self, key: bytes, value: bytes, on_result: Any) -> None:
            on_result(None)

        def flush(self, timeout: float) -> int:
            return 0

    with client(Plain()) as made:
        made.log("t")
        made.deploy()
        assert made.log_stats.refused == {"transport": 1}
    assert made.stats.delivered == 2, "the deployment, and the loss of the record"


def test_memory_is_bounded_in_number_and_bytes_and_measurements_go_on() -> None:
    transport = MemoryTransport()
    made = client(transport)
    made._logs.pump.cycle = lambda tallies=False: None  # type: ignore[method-assign]  # nothing gets through
    for _ in range(1_000):
        made.log("x" * limits.LOG_BODY_CHARS)
    stats = made.log_stats
    assert stats.refused["full"] == 1_000 - stats.buffered
    assert stats.buffered * limits.LOG_BODY_CHARS <= limits.LOG_BUFFER_BYTES
    made.counter("c").add(1)
    assert made._pump.flush(5)
    assert made.stats.delivered >= 1
    made.close(0.1)
    assert made.log_stats.given_up == stats.buffered


def test_batches_stay_within_a_record_and_in_order() -> None:
    transport = MemoryTransport()
    wide = {f"{'k' * 50}{number}": "\U0001f600" * limits.LOG_VALUE_CHARS for number in range(limits.LOG_ATTRIBUTES)}
    with client(transport) as made:
        for number in range(30):
            made.log(f"{number:02}" + "\U0001f600" * limits.LOG_BODY_CHARS, **wide)
        assert made.log_stats.refused.get("full", 0) > 0
        taken = made.log_stats.recorded
        made.flush(5)
        for number in range(2_000):
            made.log(str(number))
        made.flush(5)
    sizes = [len(value) for _, value in transport.logs.records]
    assert max(sizes) < RECORD_BYTES
    assert [batch(value)["sequence"] for _, value in transport.logs.records] == list(range(len(sizes)))
    assert [record["body"] for record in records(transport)][taken:] == [str(number) for number in range(2_000)]


def test_an_unknown_result_is_sent_again_with_the_same_ids() -> None:
    transport = MemoryTransport()
    with client(transport) as made:
        transport.logs.answer = ConnectionError("unknown")
        made.log("once")
        assert not made.flush(0.2)
        sent: list[bytes] = []
        given = transport.logs.send
        transport.logs.answer = None
        transport.logs.send = lambda key, value, on_result: (sent.append(value), given(key, value, on_result))  # type: ignore[method-assign]
        assert made.flush(10)
        assert made.log_stats.retries >= 1
    assert [(batch(value)["sequence"], len(batch(value)["records"])) for value in sent] == [(0, 1)]


def test_what_is_rejected_for_good_is_counted() -> None:
    transport = MemoryTransport()
    with client(transport) as made:
        transport.logs.answer = Rejected("no")
        made.log("t")
        assert made.flush(5)
        assert made.log_stats.rejected == {"no": 1}


def test_the_spool_keeps_what_was_committed_and_the_next_life_sends_it(tmp_path) -> None:
    transport = MemoryTransport()
    made = client(transport, spool=str(tmp_path), catch_up_jitter=0.0)
    transport.logs.answer = ConnectionError("away")
    made.event("kept", number=1)
    assert made.commit(5), "synced is promised"
    first = made._logs.pump.encoder.boot
    assert [entry for entry in names(tmp_path) if entry.startswith("logs-") and entry.endswith(first)]
    assert made.close(1), "the spool has it"
    later = MemoryTransport()
    with client(later, spool=str(tmp_path), flush_interval=0.01, catch_up_jitter=0.0) as second:
        second.counter("c").add(1)  # no record of its own: what the life before left goes all the same
        done = threading.Event()
        while not later.logs.records:
            assert not done.wait(0.01)
        assert second.flush(5)
    found = batch(later.logs.records[0][1])
    assert (found["boot"], found["sequence"], found["records"][0]["event"]) == (first, 0, "kept")
    assert not any(entry.endswith(first) for entry in names(tmp_path))


def test_a_child_starts_at_zero() -> None:
    transport = MemoryTransport()
    made = client(transport)
    made.log("parent's")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        made.log("child's")
        good = made.flush(5) and [record["body"] for record in records(transport)] == ["child's"]
        os.write(write, b"1" if good else b"0")
        os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"1"
    os.waitpid(child, 0)
    assert made.close()
    assert [record["body"] for record in records(transport)] == ["parent's"]


def test_a_deployment_is_an_event_too() -> None:
    transport = MemoryTransport()
    with client(transport) as made:
        made.deploy(stage="canary")
    (record,) = records(transport)
    assert (record["event"], record["attributes"]) == ("tocsin.deploy", {"rollout": "42", "stage": "canary"})
    assert len(transport.records) == 1


def test_a_client_that_is_disabled_takes_nothing() -> None:
    with Client(disabled=True) as made:
        made.log("t")
        made.event("not a name!")
        assert made.log_stats.refused == {}


def test_the_handler_sends_text_as_it_stands_in_the_code() -> None:
    transport = MemoryTransport()
    logger = logging.Logger("shop", logging.DEBUG)  # noqa: LOG001 - one of its own, beside the process'
    ours = logging.Logger("tocsin.kafka")  # noqa: LOG001
    with client(transport) as made:
        logger.addHandler(LogRecords(made))
        ours.addHandler(LogRecords(made))
        logger.info("below")
        logger.error("payment of %s failed", "s3cret")
        try:
            raise KeyError("s3cret")
        except KeyError:
            logger.critical("broken", exc_info=True)
        ours.error("would go round and round")
    first, second = records(transport)
    assert (first["body"], first["severity"]) == ("payment of %s failed", 17)
    assert first["attributes"]["logger"] == "shop"
    assert first["attributes"]["code.function"] == "test_the_handler_sends_text_as_it_stands_in_the_code"
    assert (second["severity"], second["attributes"]["exception.type"]) == (21, "KeyError")
    assert b"s3cret" not in transport.logs.records[0][1]


@pytest.mark.parametrize(("arguments", "said"), [((1,), "1 of them"), (("a", "b"), "%s of them")])
def test_the_handler_puts_arguments_in_when_asked(arguments, said) -> None:
    transport = MemoryTransport()
    logger = logging.Logger("shop")  # noqa: LOG001
    with client(transport) as made:
        logger.addHandler(LogRecords(made, arguments=True))
        logger.error("%s of them", *arguments)
    assert [record["body"] for record in records(transport)] == [said]


def test_the_prefix_is_the_schemas_fingerprint() -> None:
    assert PREFIX[2:] == LOGS.fingerprint
    assert encoded(1, 1, 9, "", "", "t", {}, b"", 0)
