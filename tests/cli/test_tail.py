"""Records of every topic, as lines and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from schemas.records import Command, DeadLetter
from tests.cli.build import T0, FakeLog

Run = Callable[..., Result]


def test_lines(run: Run, log: FakeLog) -> None:
    found = run("tail", "incidents")
    assert found.exit_code == 0
    assert found.stdout == (
        "2025-11-24 16:00:01.300 UTC incidents[0]@0 bb01000000000001 bb01000000000001 #1 open/page Checkout: first alert\n"
        "2025-11-24 16:05:01.100 UTC incidents[0]@1 bb01000000000001 bb01000000000001 #2 resolved/none Checkout: "
        "all alerts resolved\n"
    )
    assert log.closed == 1


@pytest.mark.parametrize("topic", ["alerts", "incidents", "notifications", "slo.status"])
def test_json_lines_hold_every_field(run: Run, log: FakeLog, topic: str) -> None:
    rows = [json.loads(line) for line in run("tail", topic, "--json").stdout.splitlines()]
    assert len(rows) == len(log.topics[topic])
    assert {"topic", "partition", "offset", "timestamp_ms", "key", "value"} == set(rows[0])
    assert len(rows[0]["value"]) > 10


def commands(log: FakeLog, count: int) -> None:
    for number in range(count):
        command = Command(f"c{number}", "acknowledge", f"t{number}", "ada", T0, {})
        log.put("commands", command, f"key-{number}", T0 + number * 1_000, partition=number % 3)


def targets(found: Result) -> list[str]:
    return [json.loads(line)["value"]["target"] for line in found.stdout.splitlines()]


def test_the_newest_over_all_partitions_in_order(run: Run, log: FakeLog) -> None:
    commands(log, 30)
    assert targets(run("tail", "commands", "-n", "4", "--json")) == ["t26", "t27", "t28", "t29"]


def test_from_the_beginning(run: Run, log: FakeLog) -> None:
    commands(log, 30)
    assert targets(run("tail", "commands", "--from-beginning", "-n", "3", "--json")) == ["t0", "t1", "t2"]
    assert len(targets(run("tail", "commands", "-n", "0", "--json"))) == 30


def test_following_goes_on_where_the_past_ended(run: Run, log: FakeLog) -> None:
    commands(log, 6)
    later = FakeLog()
    commands(later, 9)
    log.more = [message for message in later.topics["commands"] if message.timestamp_ms >= T0 + 6_000]
    assert targets(run("tail", "commands", "-n", "2", "-f", "--json")) == ["t4", "t5", "t6", "t7", "t8"]


def test_a_filter_looks_at_keys(run: Run, log: FakeLog) -> None:
    commands(log, 30)
    assert (
        targets(run("tail", "commands", "--filter", "key-2", "--json"))
        == ["t2", *(f"t{n}" for n in range(20, 29 + 1))][-10:]
    )
    assert targets(run("tail", "commands", "--filter", "key-2", "--from-beginning", "-n", "1", "--json")) == ["t2"]


def test_what_cannot_be_read_is_shown_as_such(run: Run, log: FakeLog) -> None:
    log.put("commands", b"\xc3\x01nonsense", b"\xff\xfe")
    log.put("commands", Command("c", "acknowledge", "t", "ada", T0, {}))
    found = run("tail", "commands")
    assert found.exit_code == 1
    assert "fffe" in found.stdout.splitlines()[0]
    assert "unknown_schema at byte" in found.stdout.splitlines()[0]
    assert "acknowledge t by ada" in found.stdout.splitlines()[1]
    assert "1 records could not be read" in found.stderr
    row = json.loads(run("tail", "commands", "--json").stdout.splitlines()[0])
    assert row["unreadable"] == "unknown_schema"


def test_tombstones_and_snapshots_are_named(run: Run, log: FakeLog) -> None:
    log.put("tocsin.state.merge", b"TSNP...", "part")
    log.put("tocsin.state.merge", None, "part")
    lines = run("tail", "tocsin.state.merge").stdout.splitlines()
    assert lines[0].endswith("a part of a snapshot, 7 bytes")
    assert lines[1].endswith("(deleted)")


def test_records_do_not_steer_the_terminal(run: Run, log: FakeLog) -> None:
    log.put("commands", Command("c", "acknowledge", "\x1b[2J\u202e", "ada\r\nadmin", T0, {}), "\x1b]0;x\x07")
    found = run("tail", "commands")
    assert len(found.stdout.splitlines()) == 1
    assert not set("\x1b\x07\r\u202e") & set(found.stdout)


def test_bytes_travel_as_hex(run: Run, log: FakeLog) -> None:
    log.put("telemetry.dlq", DeadLetter("telemetry", 1, 7, T0, "crc", "it differs", 12, b"\x00\xff"))
    assert json.loads(run("tail", "telemetry.dlq", "--json").stdout)["value"]["original"] == "00ff"
    assert "telemetry[1]@7 crc at byte 12: it differs (2 bytes)" in run("tail", "telemetry.dlq").stdout


def test_no_such_topic_is_wrong_usage(run: Run, log: FakeLog) -> None:
    found = run("tail", "nothing")
    assert found.exit_code == 2
    assert "there is no topic 'nothing'" in found.stderr
    assert log.closed == 1
