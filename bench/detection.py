"""Detection: the same failing traffic into Tocsin and into Prometheus with Alertmanager; who pages when.

What: one generator publishes events to Kafka and exposes the same events as counters; a worker of ours and pairs of
Prometheus and Alertmanager (three with Debian's intervals, three with the fastest) have the same SLO, 99.9 % over 30 days with the
workbook's rules. Route after route goes bad by 100 %, 15 %, 5 % or 2 %, at times that have nothing to do with anybody's
intervals. The clock is compressed by a short history: windows are as long as in production, but healthy traffic only began
some twenty seconds before, so a small burn passes the threshold within minutes. Overhead = page's arrival - the event at
which the mathematics of the own rule sees the burn (`demo.ideal`; for Prometheus without the Wilson bound, which it has
not). It refuses a run in which anybody's page is missing or comes before its burn. Without the programs it is left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from alerts.config import read_config
from bench import paging, prometheus
from bench.generator import Facts, Pace, Published, generator
from bench.outcome import WrongOutcome, check_account, settle
from bench.prometheus_rules import Counters, rule_file
from bench.results import Figure
from bench.rig import ROOT, Rig, await_that, free_port
from demo.ideal import DAY_MS, Z, pages, tiers
from sinks.fakes.pagerduty import PagerDutyFake
from sinks.fakes.receiver import Arrival
from sinks.fakes.webhook import WebhookFake

SLOS = ROOT / "bench" / "detection.yaml"
TARGET, PERIOD_MS = 0.999, 30 * DAY_MS
COUNTERS = Counters("bench_bad_total", "bench_events_total")
RATE, GROUPS = 10_000, 20
TOCSIN = "tocsin"
PEERS = (prometheus.DEFAULT, prometheus.FASTEST)
PAIRS = 3  # of each: when a server scrapes and evaluates within its interval is drawn once, at its start


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One route's page. Seconds from the burn's first event, and beyond what the own rule's mathematics needs."""

    ratio: float
    after_s: float
    overhead_s: float


def plan(*, quick: bool) -> Pace:
    """Who burns when; the tail has room for Prometheus' defaults after the slowest burn."""
    if quick:
        return Pace(RATE, 90.0, GROUPS, 20.0, 0.4, bad_share=0.0, ratios=(1.0, 0.15), expose_port=free_port())
    ratios = (1.0, 0.15, 0.05, 0.02)
    return Pace(RATE, 220.0, GROUPS, 20.0, 0.75, bad_share=0.0, ratios=ratios, expose_port=free_port())


def run(rig: Rig, pace: Pace) -> dict[str, list[Page]]:
    """The pages of each system. Raises WrongOutcome."""
    rig.fresh(keep_telemetry=False)
    (slo,) = read_config(SLOS).slos
    rules = rule_file(slo, COUNTERS)
    with contextlib.ExitStack() as stack:
        pager = stack.enter_context(PagerDutyFake(per_minute=0))
        hooks = [(peer, stack.enter_context(WebhookFake())) for peer in PEERS * PAIRS]
        worker = stack.enter_context(rig.worker(settings={**paging.told(rig, pager), "TOCSIN_SLO_PATH": str(SLOS)}))
        await_that(worker.ready, "the worker is ready")
        child = stack.enter_context(generator(rig, pace))
        for peer, hook in hooks:
            at = prometheus.running(rig.directory, peer, pace.expose_port, rules, hook.url, slo.group_by)
            stack.enter_context(at)
        child.go()
        paging.watch(worker, pace)
        facts, found = child.facts(), child.published()
        check_account(settle(rig.bootstrap, [worker], facts.published), facts.published)
        delivered = [(TOCSIN, paging.first_pages(pager.log()))]
        delivered += [(peer.name, first_alerts(hook.log())) for peer, hook in hooks]
    if facts.per_s < paging.KEPT_UP * pace.rate:
        raise WrongOutcome(f"the generator made {facts.per_s:,.0f} events/s, not {pace.rate:,}")
    pages_of: dict[str, list[Page]] = {}
    for name, told in delivered:
        pages_of.setdefault(name, []).extend(judged(name, pace, facts, found, told))
    return pages_of


def first_alerts(arrivals: Sequence[Arrival]) -> dict[int, int]:
    """When a webhook was first told by Alertmanager that a route's page fires, ms."""
    found: dict[int, int] = {}
    for arrival in arrivals:
        told = arrival.fields.get("alerts")
        for alert in told if isinstance(told, list) else []:
            if alert["status"] == "firing" and alert["labels"].get("severity") == "page":
                found.setdefault(int(alert["labels"]["route"].rpartition("/")[2]), arrival.at_ms)
    return found


def judged(name: str, pace: Pace, facts: Facts, found: Published, delivered: Mapping[int, int]) -> list[Page]:
    """Each route's page against the mathematics of the rule that asked for it. Raises WrongOutcome."""
    pages_of: list[Page] = []
    for route in range(GROUPS):
        begun_ms = facts.begun_ms + 1000 * (pace.burn_lead_s + route * pace.burn_gap_s)
        ratio = pace.ratios[route % len(pace.ratios)]
        times, good = found.of_route(route)
        expected = pages(times, good, TARGET, tiers(PERIOD_MS), z=Z if name == TOCSIN else 0.0)
        if not expected or expected[0].fires_ms < begun_ms:
            raise WrongOutcome(f"{name}: the mathematics sees no burn of route {route} where it has one")
        if route not in delivered:
            raise WrongOutcome(f"{name}: no page for route {route}, {ratio:.0%} bad")
        if delivered[route] < begun_ms:
            raise WrongOutcome(f"{name}: the page for route {route} came before it went bad")
        after_ms = delivered[route] - begun_ms
        pages_of.append(Page(ratio, after_ms / 1000, (delivered[route] - expected[0].fires_ms) / 1000))
    return pages_of


def line(found: Sequence[Page]) -> str:
    """In words: medians by error ratio, and all overheads."""
    parts = []
    for ratio in sorted({page.ratio for page in found}, reverse=True):
        mine = [page for page in found if page.ratio == ratio]
        after, overhead = (
            statistics.median(values) for values in zip(*((p.after_s, p.overhead_s) for p in mine), strict=True)
        )
        parts.append(f"{ratio:.0%} bad: page after {after:.1f} s, {overhead:.2f} s of it overhead")
    return "; ".join(parts)


def figures(rig: Rig, runs: int, say: Callable[[str], None], *, quick: bool) -> list[Figure]:
    """So many runs; in each, all systems at the same time on the same events. None where the peer is not installed."""
    if not prometheus.installed():
        say(f"detection left out: {prometheus.INSTALLS}")
        return []
    found = []
    for _ in range(runs):
        found.append(run(rig, plan(quick=quick)))
        for name, told in found[-1].items():
            say(f"detection, {name}: {line(told)}")
    return summed(found)


def summed(runs: Sequence[Mapping[str, Sequence[Page]]]) -> list[Figure]:
    """Overheads of each, all runs together, and how many times ours the others' are: of each run by its medians."""
    found = {name: [page for run in runs for page in run[name]] for name in runs[0]}
    over = {name: tuple(page.overhead_s for page in told) for name, told in found.items()}
    ours = statistics.median(over[TOCSIN])
    rows = [Figure("detection_overhead_tocsin_s", "s", over[TOCSIN], "", line(found[TOCSIN]))]
    for peer, goal in zip(PEERS, (20, 3), strict=True):
        theirs = statistics.median(over[peer.name])
        beside = f"scrape {peer.scrape_s} s, evaluation {peer.evaluate_s} s, group_wait {peer.group_wait_s} s"
        rows.append(
            Figure(
                f"detection_overhead_prometheus_{peer.name}_s",
                "s",
                over[peer.name],
                "",
                f"{beside}; {line(found[peer.name])}",
            )
        )
        told = f"median {theirs:.2f} s ({beside}) to {ours:.2f} s, {len(over[TOCSIN])} pages and {len(over[peer.name])}, same events"
        times = tuple(median(run[peer.name]) / median(run[TOCSIN]) for run in runs)
        rows.append(Figure(f"page_overhead_vs_prometheus_{peer.name}_ratio", "x", times, f">= {goal}", told))
    return rows


def median(pages_of: Sequence[Page]) -> float:
    """Of their overheads."""
    return statistics.median(page.overhead_s for page in pages_of)
