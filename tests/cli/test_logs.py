"""The log of a service: what is asked for, in order, each record once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from typer.testing import Result

from schemas.encoding import Resource
from schemas.logs import LogBatch, LogRecord, encode_logs
from tests.cli.build import FakeLog

Run = Callable[..., Result]
NOW = time.time_ns() // 1_000_000


def put(
    log: FakeLog,
    *records: LogRecord,
    sequence: int = 0,
    service: str = "shop",
    version: str = "7",
    rollout: str = "",
    partition: int = 0,
    at_ms: int = NOW,
    source: str = "web-1",
) -> None:
    attributes = {"rollout": rollout} if rollout else {}
    resource = Resource(service=service, version=version, attributes=attributes)
    batch = LogBatch(source, "b", sequence, resource, records)
    log.put("logs", encode_logs(batch), batch.key, at_ms, partition)


def said(text: str, ago_ms: int = 0, severity: int = 9, **more: object) -> LogRecord:
    return LogRecord(NOW - ago_ms, NOW, severity, body=text, **more)  # type: ignore[arg-type]


@pytest.fixture
def log(log: FakeLog) -> FakeLog:
    log.topics["logs"] = []
    return log


def bodies(found: Result) -> list[str]:
    return [json.loads(line)["body"] for line in found.stdout.splitlines()]


def test_a_line(run: Run, log: FakeLog) -> None:
    put(log, LogRecord(1_764_000_000_123, 0, 17, "ERROR", "pay.failed", "no\nanswer", {"b": "2", "a": "1"}, b"\1" * 16))
    found = run("logs")
    assert found.exit_code == 0
    assert found.stdout == (
        "2025-11-24 16:00:00.123 UTC error shop/web-1 pay.failed no\ufffdanswer {a=1, b=2} "
        "trace=01010101010101010101010101010101\n"
    )


def test_what_is_asked_for_over_all_partitions_in_the_order_of_time(run: Run, log: FakeLog) -> None:
    put(log, said("third", 10, 13), said("low", 9, 9), sequence=1)
    put(log, said("first", 30, 17), sequence=2, partition=1)
    put(log, said("second", 20, 24, event="e"), sequence=3, partition=2)
    put(log, said("another's", 15, 24), sequence=4, service="door", partition=1)
    put(log, said("too old", 0, 24), sequence=5, at_ms=NOW - 11 * 60_000, partition=3)
    asked = ("logs", "--service", "shop", "--severity", "warn", "--json")
    assert bodies(run(*asked)) == ["first", "second", "third"]
    assert bodies(run(*asked, "-n", "2")) == ["second", "third"]
    assert bodies(run(*asked, "--event", "e")) == ["second"]
    assert bodies(run(*asked, "--since", "1h")) == ["first", "second", "third", "too old"]
    assert len(bodies(run("logs", "--json", "-n", "0"))) == 5


def test_a_repeat_is_shown_once_and_what_has_no_identity_always(run: Run, log: FakeLog) -> None:
    for sequence in (1, 1, 2, -1, -1):
        put(log, said(str(sequence)), sequence=sequence)
    put(log, said("later"), sequence=3)
    log.more = [log.topics["logs"][0], log.topics["logs"].pop()]
    assert bodies(run("logs", "--json", "--follow")) == ["1", "2", "-1", "-1", "later"]


def test_a_new_version_is_told_once(run: Run, log: FakeLog) -> None:
    for sequence, (version, rollout) in enumerate((("7", ""), ("8", "42"), ("7", ""), ("8", "42"))):
        put(log, said(str(sequence), 10 - sequence), sequence=sequence, version=version, rollout=rollout)
    lines = run("logs").stdout.splitlines()
    assert [line for line in lines if line.startswith("--")] == ["-- shop is now version 8, rollout 42 --"]
    assert lines[1].startswith("--")


def test_what_cannot_be_read_costs_itself(run: Run, log: FakeLog) -> None:
    log.put("logs", b"noise", at_ms=NOW)
    put(log, said("good"), sequence=1)
    found = run("logs", "--json")
    assert (found.exit_code, bodies(found)) == (1, ["good"])
    assert "1 records could not be read" in found.stderr


@pytest.mark.parametrize("wrong", [("--since", "soon"), ("--severity", "loud")])
def test_wrong_usage_is_named(run: Run, log: FakeLog, wrong: tuple[str, str]) -> None:
    found = run("logs", *wrong)
    assert found.exit_code == 2
    assert wrong[1] in found.stderr


def test_tail_shows_batches(run: Run, log: FakeLog) -> None:
    put(log, said("hello", severity=13))
    assert "web-1 boot b sequence 0: 1 log records, the first at" in run("tail", "logs").stdout
    assert json.loads(run("tail", "logs", "--json").stdout)["value"]["records"][0]["body"] == "hello"
