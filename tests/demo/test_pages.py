"""Pages: each expected page finds its arrival, and nothing else does."""

from __future__ import annotations

import dataclasses

import pytest

from demo.ideal import Expected
from demo.pages import SLACK_MS, Arrival, Log, deduplicated, match
from schemas.records import AlertTransition, IncidentTransition

SHOP = (("service", "shop"),)
EXPECTED = Expected("web", SHOP, "page", 100_000, 120_000, 150_000)
ALERT = AlertTransition(
    "t1", "a1", 1, "web", 0, {"service": "shop"}, "firing", "page", "none", False, 121_000, 100_000, 121_500, 0.99,
    86_400_000, (), 0.5, (), 0, 0, 0, {}, "", "", {}, "",
)  # fmt: skip
INCIDENT = IncidentTransition("i1", 1, "open", "page", "", ("a1",), ("t1",), {}, 121_000, 121_600, "", "")


def log() -> Log:
    made = Log()
    for record in (ALERT, INCIDENT, ALERT, "noise"):
        made.apply(record)
    return made


def arrivals(*times: tuple[int, str, str]) -> list[Arrival]:
    return [Arrival(time_ms, action, key, "critical") for time_ms, action, key in times]


def test_a_page_is_found_with_its_times() -> None:
    (page,), false_pages = match([EXPECTED], arrivals((122_000, "trigger", "i1"), (160_000, "resolve", "i1")), log())
    assert false_pages == []
    assert page.row() == {
        "slo": "web",
        "group": {"service": "shop"},
        "severity": "page",
        "burn_started": 100_000,
        "detected": 121_500,
        "delivered": 122_000,
        "ideal_seconds": 20.0,
        "overhead_seconds": 2.0,
    }
    assert page.resolved_ms == 160_000


def test_a_missing_page_and_a_page_without_a_burn_are_found() -> None:
    (page,), false_pages = match([EXPECTED], arrivals((122_000, "trigger", "i2")), log())
    assert page.delivered_ms is None
    assert page.overhead_seconds is None
    assert false_pages == ["i2"]


@pytest.mark.parametrize("triggered", [EXPECTED.fires_ms - SLACK_MS - 1, 150_000 + SLACK_MS + 1])
def test_a_page_outside_its_burn_is_a_false_one(triggered: int) -> None:
    (page,), false_pages = match([EXPECTED], arrivals((triggered, "trigger", "i1")), log())
    assert page.delivered_ms is None
    assert false_pages == ["i1"]


def test_another_group_does_not_answer_for_this_one() -> None:
    other = dataclasses.replace(EXPECTED, group=(("service", "assets"),))
    (page,), false_pages = match([other], arrivals((122_000, "trigger", "i1")), log())
    assert page.delivered_ms is None
    assert false_pages == ["i1"]


def test_the_pager_deduplicates() -> None:
    found = deduplicated(
        arrivals(
            (5, "resolve", "i1"), (1, "trigger", "i1"), (2, "trigger", "i1"), (9, "resolve", "i1"), (3, "resolve", "x")
        )
    )
    assert found == {"i1": (1, 5)}
