"""Pages that are right are found wrong as soon as one of them is falsified."""

from __future__ import annotations

import dataclasses

from demo.ideal import Expected
from demo.pages import Arrival, Log
from proof import falsified
from proof.pages import PAGER, Request

GROUP = (("service", "shop"),)
KEYS = ["i"]


class Known(Log):
    """Both incidents are of the one group."""

    def subjects(self, incident: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        return {("availability", GROUP)} if incident in KEYS else set()


def told(action: str, at_ms: int) -> Request:
    return Request(at_ms, PAGER, "i", action, f"i/{action}", 202, taken=True)


EXPECTED = [Expected("availability", GROUP, "page", 90_000, 100_000, 200_000)]
REQUESTS = [told("trigger", 101_000), told("resolve", 201_000)]
ARRIVALS = [Arrival(one.at_ms, one.action, one.key, "critical") for one in REQUESTS]


def test_each_falsified_page_is_seen_and_the_true_ones_are_right() -> None:
    found = falsified.in_pages(EXPECTED, ARRIVALS, KEYS, REQUESTS, Known())
    assert [one.seen for one in found] == [True] * 4
    assert [(one.lost, one.doubled) for one in found] == [(1, 0), (0, 1), (0, 1), (0, 2)]


def test_pages_that_are_wrong_already_prove_nothing_and_none_cannot_be_falsified() -> None:
    for arrivals, keys in (
        (ARRIVALS[1:], KEYS),
        ([*ARRIVALS, Arrival(1, "trigger", "x", "")], KEYS),
        (ARRIVALS, KEYS * 2),
    ):
        (found,) = falsified.in_pages(EXPECTED, arrivals, keys, REQUESTS, Known())
        assert not found.passed
    early = [dataclasses.replace(REQUESTS[1], at_ms=1), REQUESTS[0]]
    assert [one.passed for one in falsified.in_pages(EXPECTED, ARRIVALS, KEYS, early, Known())] == [False]
    assert falsified.in_pages([], [], [], [], Known()) == []
