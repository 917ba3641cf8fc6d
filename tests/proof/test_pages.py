"""Each property of the pages is broken once, by a log that was made up; a good log breaks none."""

from __future__ import annotations

import dataclasses
import json

import pytest

from demo.ideal import Life
from proof import pages
from proof.pages import FALLBACK, PAGER, Notes, Request
from sinks.fakes.receiver import Arrival

GROUP = (("service", "shop"),)
LIFE = Life("availability", GROUP, ((90_000, "page"), (200_000, "none")))


def request(at_ms: int, action: str = "trigger", **changed: object) -> Request:
    """One of an incident `i`, taken and answered 202."""
    made = Request(at_ms, PAGER, "i", action, f"i/{action}", 202, taken=True)
    return dataclasses.replace(made, **changed)


GOOD = [request(100_000), request(130_000, "acknowledge"), request(201_000, "resolve")]


def test_a_good_log_breaks_nothing() -> None:
    wrong, figures = pages.judge(GOOD, Notes(asked={"i": 129_000}), {"i": LIFE})
    assert wrong == []
    assert figures == {
        "requests_to_channels": 3, "taken_and_sent_again": 0, "incidents_that_must_end": 1,
        "incidents_acknowledged": 1, "incidents_for_the_fallback": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ([request(1, "acknowledge"), request(2)], "told acknowledge of i first"),
        ([request(1, "resolve")], "told resolve of i first"),
        ([request(1), request(2, "resolve"), request(3)], "told trigger of i after its end"),
        ([request(1), request(2, "resolve"), request(3, name="i/update")], "told trigger of i after its end"),
        ([request(1), request(2, "resolve"), request(3, "acknowledge")], "told acknowledge of i after its end"),
        ([request(1), request(2, "resolve"), request(3, "resolve", name="other")], "told resolve of i after its end"),
    ],
)
def test_p3_an_order_that_must_not_be_is_seen(log: list[Request], says: str) -> None:
    assert any(says in finding for finding in pages.order(log))


def test_p3_repeats_updates_and_what_was_not_taken_are_in_order() -> None:
    repeated = [*GOOD[:1], request(100_500), request(120_000, name="i/update"), *GOOD[1:], request(202_000, "resolve")]
    assert pages.order([*repeated, request(300_000, taken=False, status=0)]) == []
    assert pages.order([request(1), request(2, "resolve"), request(3, key="another")]) == []


def test_p3_an_incident_that_does_not_end_or_ends_too_early_is_seen() -> None:
    assert pages.ends(GOOD, {"i": LIFE}) == []
    assert "was not resolved" in pages.ends(GOOD[:2], {"i": LIFE})[0]
    assert "resolved, and burns" in pages.ends([request(100_000), request(150_000, "resolve")], {"i": LIFE})[0]
    burns = dataclasses.replace(LIFE, steps=LIFE.steps[:1])
    assert "resolved, and burns" in pages.ends(GOOD, {"i": burns})[0]
    assert pages.ends(GOOD[:2], {"i": burns}) == []


def test_p4_a_late_page_is_seen() -> None:
    assert pages.late([-30.0, 1.0, 20.0], 20.0) == []
    assert "21.0 s" in pages.late([1.0, 21.0], 20.0)[0]


DEAD = [request(0, taken=False, status=0), request(1_000, taken=False, status=0), request(9_000)]
SPARE = request(2_500, channel=FALLBACK)


def test_p5_a_dead_pager_whose_fallback_is_not_told_in_time_is_seen() -> None:
    assert pages.fallback([*DEAD, SPARE], []) == ([], 1)
    wrong, needed = pages.fallback(DEAD, [])
    assert (len(wrong), needed) == (1, 1)
    assert "nobody was told of i for 4 s" in wrong[0]
    assert pages.fallback([*DEAD, dataclasses.replace(SPARE, at_ms=8_000)], [])[0]
    assert pages.fallback([*DEAD, dataclasses.replace(SPARE, taken=False)], [])[0]


def test_p5_a_pager_that_takes_it_in_time_needs_no_fallback_and_hurt_workers_have_longer() -> None:
    assert pages.fallback([DEAD[0], request(3_000)], []) == ([], 0)
    assert pages.fallback(DEAD, [(500, 2_000)]) == ([], 0)  # taken within what a dead worker's partition may take
    assert pages.fallback(DEAD, [(60_000, 90_000)])[0]


def test_p6_an_acknowledgement_that_was_lost_is_seen() -> None:
    assert "the pager does not know" in pages.acknowledged([GOOD[0]], {"i": 101_000})[0]
    assert "the pager does not know" in pages.acknowledged(GOOD[:2], {"i": 131_000})[0]
    refused = dataclasses.replace(GOOD[1], taken=False)
    assert pages.acknowledged([GOOD[0], refused], {"i": 129_000})
    assert pages.acknowledged([GOOD[0], GOOD[2]], {"i": 200_500}) == []  # it was over


def test_p7_what_was_taken_and_answered_is_not_sent_again_without_a_fault() -> None:
    twice = [request(1_000), request(2_000)]
    wrong, again = pages.repeats(twice, [])
    assert ("said so, and was asked again" in wrong[0], again) == (True, 1)
    assert pages.repeats(twice, [(1_500, 1_600)]) == ([], 1)
    assert pages.repeats(twice, [(60_000, 70_000)])[0]
    unclear = [request(1_000, status=500), request(2_000, status=0), request(4_000)]
    assert pages.repeats(unclear, []) == ([], 2)
    assert pages.repeats([request(1_000), request(1_100, name="i/update")], []) == ([], 0)


def test_p7_more_requests_than_the_back_off_allows_are_seen() -> None:
    assert [pages.allowed(s) for s in (0, 0.4, 0.5, 1.4, 1.5, 3.4, 3.5)] == [1, 1, 2, 2, 3, 3, 4]
    hammer = [request(at, taken=False, status=503) for at in range(0, 1_000, 100)]
    assert "10 requests to pagerduty for i/trigger, 2 are allowed" in pages.repeats(hammer, [])[0][0]
    assert pages.repeats(hammer, [(500, 600)])[0]
    assert pages.repeats([*hammer[:1], hammer[6]], []) == ([], 0)


def test_an_incident_is_matched_with_the_last_alert_that_paged_before_it() -> None:
    subject = {("availability", GROUP)}
    later = dataclasses.replace(LIFE, steps=((900_000, "ticket"), (910_000, "page")))
    opened, subjects = {"a": 91_000, "b": 911_000, "c": 911_000}, {"a": subject, "b": subject, "c": set()}
    assert pages.incidents(opened, subjects, [LIFE, later]) == {"a": LIFE, "b": later}


def arrival(body: dict[str, object], **headers: str) -> Arrival:
    return Arrival(5, "/", headers, json.dumps(body).encode(), 202, taken=True)


def test_what_the_stand_ins_log_is_read() -> None:
    detail = {"custom_details": {"notification": "n1"}}
    logged = [
        arrival({"event_action": "trigger", "dedup_key": "i", "payload": detail}),
        arrival({"event_action": "resolve", "dedup_key": "i"}),
    ]
    assert [(one.action, one.name, one.key) for one in pages.of_pager(logged)] == [
        ("trigger", "n1", "i"), ("resolve", "i/resolve", "i"),
    ]  # fmt: skip
    hooks = [
        arrival({"groupKey": "i", "notification_reason": reason}, **{"idempotency-key": "n2"})
        for reason in ("first_notification", "severity_rose", "acknowledged", "all_alerts_resolved")
    ]
    found = pages.of_webhook("team", hooks)
    assert [one.action for one in found] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {(one.channel, one.name, one.key) for one in found} == {("team", "n2", "i")}
