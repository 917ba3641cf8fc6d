"""Paging: how long after the mathematics a page arrives, with 50,000 events a second through Kafka.

What: a paced generator publishes to 100 routes, each a group of one SLO (period 1 d: the workbook's windows scaled); one
after the other goes bad, at a time that has nothing to do with panes. A page's time is that of its arrival at a
PagerDuty stand-in. Overhead = delivered - fires, where `fires` is the event time at which `demo.ideal`, which shares no
code with the product, sees the burn in the very events that were published: burn start + ideal detection time. Why the
channel has no limit here: 120 events a minute are PagerDuty's, not ours. It refuses a run in which a page is missing,
comes before its burn, is told twice, or in which a measurement is lost.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence

import numpy as np

from bench.generator import Facts, Pace, Published, generator
from bench.outcome import WrongOutcome, check_account, settle
from bench.rig import Rig, Worker, await_that
from bench.workloads import ROUTES
from demo.ideal import DAY_MS, pages, tiers
from sinks.fakes.pagerduty import PagerDutyFake
from sinks.fakes.receiver import Arrival

TARGET = 0.99  # of bench/slos.yaml
PERIOD_MS = DAY_MS
KEY_VARIABLE = "TOCSIN_BENCH_ROUTING_KEY"
ROUTING_KEY = "0" * 31 + "2"
TAIL_S = 15.0
#: A generator that does not keep up is no load of that rate.
KEPT_UP = 0.97
WELL_SHARE = 0.05  # of bad events before a burn: far above what the workload makes by chance, far below a burn
ROUTE = re.compile(r"route=/route/(\d+)")

CHANNELS = """\
channels:
  - {{name: pagerduty, kind: pagerduty, routing_key_env: {variable}, url: "{url}", per_minute: 0}}
"""
ROUTES_FILE = """\
receivers:
  - {name: oncall, channels: [pagerduty]}
group_by: [slo, route]
default: [oncall]
"""


@dataclasses.dataclass(frozen=True)
class Overheads:
    """One run: seconds from `fires` to the page, one a route, and what else there is to know."""

    seconds: tuple[float, ...]
    ideal_s: float  # median time from the burn's start to `fires`
    facts: Facts

    def quantile(self, share: float) -> float:
        """A quantile of the overheads, s; the next higher one that was measured."""
        return float(np.quantile(self.seconds, share, method="higher"))

    def line(self) -> str:
        """In words."""
        return (
            f"{len(self.seconds)} pages, p50 {self.quantile(0.5):.2f} s, p99 {self.quantile(0.99):.2f} s, "
            f"most {max(self.seconds):.2f} s; ideal {self.ideal_s:.1f} s after a burn begins; "
            f"{self.facts.per_s:,.0f} events/s, generator behind {self.facts.behind_p99_ms:.0f} ms p99, "
            f"{self.facts.behind_max_ms:.0f} ms at most"
        )


def plan(rate: int, lead_s: float, gap_s: float, series: int = 1_000) -> Pace:
    """Every route in turn, and time for the last page."""
    return Pace(rate, lead_s + ROUTES * gap_s + TAIL_S, series, lead_s, gap_s)


def overheads(rig: Rig, pace: Pace) -> Overheads:
    """One run. Raises WrongOutcome."""
    rig.fresh(keep_telemetry=False)
    with PagerDutyFake(per_minute=0) as pager, rig.worker(settings=told(rig, pager)) as worker:
        await_that(worker.ready, "the worker is ready")
        with generator(rig, pace) as child:
            child.go()
            watch(worker, pace)
            facts = child.facts()
            found = child.published()
        metrics = settle(rig.bootstrap, [worker], facts.published)
        check_account(metrics, facts.published)
        arrivals = pager.log()
    if facts.per_s < KEPT_UP * pace.rate:
        raise WrongOutcome(f"the generator made {facts.per_s:,.0f} events/s, not {pace.rate:,}")
    return judged(pace, facts, found, arrivals)


def told(rig: Rig, pager: PagerDutyFake) -> Mapping[str, str]:
    """Settings of a worker that pages this stand-in."""
    channels, routes = rig.directory / "channels.yaml", rig.directory / "routes.yaml"
    channels.write_text(CHANNELS.format(variable=KEY_VARIABLE, url=pager.url), encoding="utf-8")
    routes.write_text(ROUTES_FILE, encoding="utf-8")
    return {
        "TOCSIN_CHANNELS_PATH": str(channels),
        "TOCSIN_ROUTES_PATH": str(routes),
        KEY_VARIABLE: ROUTING_KEY,
    }


def watch(worker: Worker, pace: Pace) -> None:
    """The length of the run; a worker that ends is noticed."""
    until = time.monotonic() + pace.seconds
    while time.monotonic() < until:
        worker.ready()
        time.sleep(1.0)


def judged(pace: Pace, facts: Facts, found: Published, arrivals: Sequence[Arrival]) -> Overheads:
    """Overhead of each route's page. Raises WrongOutcome."""
    delivered = first_pages(arrivals)
    seconds, ideal = [], []
    for route in range(ROUTES):
        begun_ms = facts.begun_ms + 1000 * (pace.burn_lead_s + route * pace.burn_gap_s)
        fires_ms = fires(found, route)
        if fires_ms is None:
            raise WrongOutcome(f"the mathematics never sees route {route}, which goes bad at {begun_ms:.0f}")
        if route not in delivered:
            raise WrongOutcome(f"no page for route {route}")
        if delivered[route] < min(begun_ms, fires_ms):
            raise WrongOutcome(f"the page for route {route} came before anything was bad")
        if bad_share(found, route, begun_ms) > WELL_SHARE:
            raise WrongOutcome(f"route {route} is bad before {begun_ms:.0f}, when it goes bad")
        seconds.append((delivered[route] - fires_ms) / 1000)
        if fires_ms >= begun_ms:  # else two of a route's first few requests were bad by chance: a page all the same
            ideal.append((fires_ms - begun_ms) / 1000)
    return Overheads(tuple(seconds), float(np.median(ideal)), facts)


def bad_share(found: Published, route: int, before_ms: float) -> float:
    """Share of a route's events before a time that are bad."""
    times, good = found.of_route(route)
    early = good[times < before_ms]
    return 1.0 - float(early.mean()) if len(early) else 0.0


def fires(found: Published, route: int) -> int | None:
    """Event time at which the mathematics sees the route's burn, ms; None: never."""
    times, good = found.of_route(route)
    expected = pages(times, good, TARGET, tiers(PERIOD_MS))
    return expected[0].fires_ms if expected else None


def first_pages(arrivals: Sequence[Arrival]) -> dict[int, int]:
    """When the pager was first told of each route as critical, ms. Raises WrongOutcome where it was told twice."""
    found: dict[int, int] = {}
    keys: dict[int, object] = {}
    for arrival in arrivals:
        fields = arrival.fields
        payload = fields.get("payload")
        if not arrival.taken or not isinstance(payload, dict) or payload.get("severity") != "critical":
            continue
        for text in ROUTE.findall(str(payload.get("custom_details"))):
            route = int(text)
            if keys.setdefault(route, fields.get("dedup_key")) != fields.get("dedup_key"):
                raise WrongOutcome(f"two incidents for route {route}")
            found.setdefault(route, arrival.at_ms)
    return found
