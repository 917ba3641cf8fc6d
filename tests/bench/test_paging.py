"""Overheads out of what was published and what arrived.

What: pages matched by route, held against the independent mathematics on made-up events. Why: an overhead that
forgives an early, doubled or missing page would be no promise. It refuses a broker and a pager.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench import paging
from bench.generator import Facts, Pace, Published
from bench.outcome import WrongOutcome
from bench.workloads import ROUTES
from sinks.fakes.receiver import Arrival

BEGUN_MS = 1_800_000_000_000
PACE = Pace(rate=10_000, seconds=60.0, series=1_000, burn_lead_s=20.0, burn_gap_s=0.1)
FACTS = Facts(BEGUN_MS, 0, 10_000.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def published() -> Published:
    """Each route ten times a second; all good, then from its moment on all bad."""
    times, routes, good = [], [], []
    for tick in range(600):
        for route in range(ROUTES):
            times.append(BEGUN_MS + tick * 100)
            routes.append(route)
            good.append(tick / 10 < PACE.burn_lead_s + route * PACE.burn_gap_s)
    return Published(np.array(times), np.array(routes), np.array(good))


def page(route: int, at_ms: float, key: str = "", severity: str = "critical") -> Arrival:
    """One trigger as PagerDuty takes it."""
    payload = {"severity": severity, "custom_details": {"groups": f"{{route=/route/{route}}}"}}
    event = {"event_action": "trigger", "dedup_key": key or f"incident-{route}", "payload": payload}
    return Arrival(round(at_ms), "/v2/enqueue", {}, json.dumps(event).encode(), 202, True)


def pages(published: Published, late_ms: float = 500.0) -> list[Arrival]:
    """A page for each route, so late after what the mathematics says."""
    return [page(route, (paging.fires(published, route) or 0) + late_ms) for route in range(ROUTES)]


def test_overhead_is_from_the_ideal_to_the_arrival(published: Published):
    found = paging.judged(PACE, FACTS, published, pages(published, 1_500))
    assert len(found.seconds) == ROUTES
    assert set(found.seconds) == {1.5}
    assert found.quantile(0.99) == 1.5


def test_the_ideal_follows_the_burn_within_seconds(published: Published):
    found = paging.judged(PACE, FACTS, published, pages(published))
    assert 0 < found.ideal_s < 10


def test_a_quantile_is_one_of_the_overheads(published: Published):
    late = [page(r, (paging.fires(published, r) or 0) + 10.0 * r) for r in range(ROUTES)]
    found = paging.judged(PACE, FACTS, published, late)
    assert found.quantile(0.99) in found.seconds
    assert found.quantile(0.99) >= 0.98


def test_a_missing_page_is_refused(published: Published):
    with pytest.raises(WrongOutcome, match="no page for route 99"):
        paging.judged(PACE, FACTS, published, pages(published)[:-1])


def test_a_page_before_the_burn_is_refused(published: Published):
    early = [page(3, BEGUN_MS + 1_000), *pages(published)]
    with pytest.raises(WrongOutcome, match="before anything was bad"):
        paging.judged(PACE, FACTS, published, early)


def test_a_page_that_chance_asks_for_counts_too(published: Published):
    """A route's first requests are bad: the mathematics fires long before the burn, and so may we."""
    good = published.good.copy()
    good[np.flatnonzero(published.route == 7)[:9]] = False
    chance = Published(published.time_ms, published.route, good)
    assert (paging.fires(chance, 7) or 0) < BEGUN_MS + 1_000 * PACE.burn_lead_s
    assert set(paging.judged(PACE, FACTS, chance, pages(chance)).seconds) == {0.5}


def test_two_incidents_of_a_route_are_refused(published: Published):
    twice = [*pages(published), page(3, BEGUN_MS + 50_000, key="another")]
    with pytest.raises(WrongOutcome, match="two incidents for route 3"):
        paging.judged(PACE, FACTS, published, twice)


def test_a_route_that_never_burns_is_refused(published: Published):
    calm = Published(published.time_ms, published.route, published.good | (published.route == 5))
    with pytest.raises(WrongOutcome, match="route 5"):
        paging.judged(PACE, FACTS, calm, pages(published))


def test_a_route_that_burns_before_its_time_is_refused(published: Published):
    early = Published(published.time_ms, published.route, published.good & (published.route != 5))
    with pytest.raises(WrongOutcome, match="route 5 is bad before"):
        paging.judged(PACE, FACTS, early, pages(published))


def test_the_first_critical_event_counts_and_tickets_do_not():
    told = [page(1, 10, severity="warning"), page(1, 20), page(1, 30)]
    assert paging.first_pages(told) == {1: 20}


def test_every_route_has_time_to_burn():
    pace = paging.plan(50_000, 30.0, 0.53)
    assert pace.seconds >= pace.burn_lead_s + ROUTES * pace.burn_gap_s + 10
