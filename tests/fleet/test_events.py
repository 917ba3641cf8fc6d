"""What a person reads of an alert or error: bounded, without a VIN, under the identity of the telemetry beside it."""

import dataclasses

import pytest

from fleet import events, limits, mapping
from fleet.identity import Naming
from fleet.messages import Report
from fleet.reports import ALERTS, ENDED, ERRORS, STARTED, News
from schemas.encoding import Producer, Resource
from schemas.limits import LOG_RECORDS
from schemas.logs import LOGS, LogRecord, encode_logs, read_logs

AT = 1_700_000_000_000
VIN = "5YJ3E1EA0KF000001"
PLAIN = mapping.read("")


def error(tags=(), body="", text="", name="E1", hidden=VIN):
    return events.event(
        ERRORS, News(Report(name, AT, tags=tags, body=body), "", AT), mapping.read(text), hidden, AT + 5
    )


def test_an_alert_that_starts_and_one_that_ends():
    alert = Report("BMS_a001", AT - 9_000, AT - 500, ("customer", "service"))
    started = events.event(ALERTS, News(alert, STARTED, AT - 9_000), mapping.read("[labels]\nfleet = 'north'"), VIN, AT)
    said = {"fleet": "north", "name": "BMS_a001", "phase": "started", "audience": "customer,service"}
    assert started == LogRecord(AT - 9_000, AT, 13, event="vehicle.alert", attributes=said)
    ended = events.event(ALERTS, News(alert, ENDED, AT - 500, 8_500), PLAIN, VIN, AT)
    assert (ended.time_ms, ended.severity, ended.attributes["phase"]) == (AT - 500, 9, "ended")
    assert ended.attributes["lasted_s"] == "8.500"


def test_an_error_says_its_tags_and_keeps_its_words_to_itself():
    found = error([("component", "camera"), ("side", "")], "words")
    said = {"name": "E1", "tag.component": "camera", "tag.side": ""}
    assert found == LogRecord(AT, AT + 5, 17, event="vehicle.error", attributes=said, left_out=1)
    assert error(body="words", text="[events]\nbody = true").body == "words"


def test_tags_that_do_not_leave_are_counted():
    tags = [("component", "camera"), ("driver", "Ann"), ("Api_Key", "x"), ("session-id", "y"), ("user_password", "z")]
    found = error(tags)
    assert set(found.attributes) == {"name", "tag.component", "tag.driver"}
    assert found.left_out == 3
    found = error(tags, text="[events]\ntags = ['component', 'Api_Key']")
    assert set(found.attributes) == {"name", "tag.component"}
    assert found.left_out == 4


@pytest.mark.parametrize("vin", [VIN, VIN.lower()])
def test_no_text_says_which_vehicle_it_is(vin):
    found = error([("vin", vin), (vin, "x"), ("ok", "1")], f"of {vin}", "[events]\nbody = true", name=f"E/{vin}")
    assert VIN not in str(found).upper()
    assert found.attributes == {"name": "", "tag.ok": "1"}
    assert found.left_out == 4
    assert error([("vin", vin)], hidden=Naming(plain=True).hidden(VIN)).attributes["tag.vin"] == vin


def test_everything_is_bounded_and_what_is_cut_is_counted():
    tags = [(f"{n:03}" + "k" * 100, "v" * 300) for n in range(limits.TAGS + 4)]
    found = error(tags, "b" * 2_000, "[events]\nbody = true", "n" * 300)
    assert len(found.attributes) == limits.TAGS + 1
    assert all(len(value) == limits.ATTRIBUTE_CHARS for value in found.attributes.values())
    assert len(found.body) == limits.BODY_CHARS
    assert found.left_out == 4 + 2 * limits.TAGS + 2


def test_batches_hold_so_many_and_each_has_its_own_identity():
    one = error()
    records = [dataclasses.replace(one, time_ms=AT + n) for n in range(2 * LOG_RECORDS + 1)]
    found = list(events.batches(records, Resource("fleet"), Producer("vehicle-1", "t/0/7"), 3))
    assert [(batch.source, batch.boot, batch.sequence) for batch in found] == [
        ("vehicle-1", "t/0/7", 3), ("vehicle-1", "t/0/7/1", 3), ("vehicle-1", "t/0/7/2", 3),
    ]  # fmt: skip
    assert [record for batch in found for record in batch.records] == records
    assert {(batch.created_wall_ms, batch.key) for batch in found} == {(AT + 5, b"fleet")}
    for batch in found:
        assert read_logs(LOGS, encode_logs(batch), 10) == batch
    assert not list(events.batches([], Resource("fleet"), Producer("vehicle-1", "t/0/7"), 3))
