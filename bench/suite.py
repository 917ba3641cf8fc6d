"""The suite: which figures there are, how often each is measured, and at what size.

What: parts, each answering its figures; full and quick sizes. Runs of what is compared are interleaved (ours with few
series, ours with many, and again), so that a machine that slows down slows all of them. Why goals stand here:
one place says what is promised. It refuses to drop a run: every sample counts, and a run with a wrong outcome ends the
suite.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping

from bench import (
    arrays,
    bigger,
    client,
    comparison,
    detection,
    flink,
    gateway,
    kstreams,
    paging,
    pair,
    recovery,
    shapes,
    takeover,
)
from bench.generator import Pace
from bench.results import Figure
from bench.rig import Rig
from bench.throughput import Rate, tocsin_rate
from bench.workloads import Load, publish

SERIES, MANY_SERIES = 1_000, 100_000
LIVE_RATE = 150_000.0  # events a second of event time in what is published: that of the goal
LIVE_BATCH_RATE = 1_000_000.0
BATCH = 500
PAGE_LOAD = 50_000  # events a second while pages are timed
TAKEOVER_LOAD = 20_000
SLACK_S = 2.0  # beyond the session timeout, for everything that follows it

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Size:
    """How much and how often. Times in seconds."""

    name: str
    runs: int
    singles: int
    many: int
    peer_s: float
    batched: int
    page_lead_s: float
    page_gap_s: float


FULL = Size("full", 3, 4_000_000, 5_000_000, 25.0, 60_000_000, 30.0, 0.53)
QUICK = Size("quick", 1, 1_500_000, 4_000_000, 6.0, 15_000_000, 15.0, 0.31)


def singles(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Single events: rate, and with a hundred times the series."""
    few: list[Rate] = []
    many: list[Rate] = []
    for run in range(size.runs):
        few.append(_run(rig, Load(size.singles, SERIES, LIVE_RATE, seed=run), f"single events, {SERIES:,} series", say))
        load = Load(size.many, MANY_SERIES, LIVE_RATE, seed=run, warm_up=True)
        many.append(_run(rig, load, f"single events, {MANY_SERIES:,} series", say))
    return single_figures(few, many)


def single_figures(few: list[Rate], many: list[Rate]) -> list[Figure]:
    """Of the runs' results; ratios are of runs beside each other."""
    few_s, many_s = [rate.per_s for rate in few], [rate.per_s for rate in many]
    growth = tuple(more / less for more, less in zip(many_s, few_s, strict=True))
    seen = (
        f"{statistics.median(many_s):,.0f} events/s at {MANY_SERIES:,} series over 4 partitions, from when all have been "
        f"seen, against {statistics.median(few_s):,.0f} at {SERIES:,}"
    )
    warm = f"first sight of {MANY_SERIES:,} series, in catch-up"
    memory = f"resident when done; {max(rate.peak_mb for rate in many):,.0f} MB at most while catching up"
    return [
        Figure("single_events_per_s", "events/s", tuple(few_s), ">= 150000", f"{SERIES:,} series, full path"),
        Figure("series_growth_ratio", "x", growth, ">= 0.9", seen),
        Figure("series_warm_up_s", "s", tuple(rate.warm_s for rate in many), "", warm),
        Figure("rss_100k_series_mb", "MB", tuple(rate.rss_mb for rate in many), "<= 600", memory),
    ]


def _run(rig: Rig, load: Load, what: str, say: Say) -> Rate:
    rig.fresh(keep_telemetry=False)
    publish(rig.bootstrap, load)
    say(f"{what}: {load.measurements:,} measurements published")
    rate = tocsin_rate(rig, load)
    say(f"{what}: {rate.line()}")
    return rate


def batches(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Batches of 500 measurements."""
    load = Load(size.batched, SERIES, LIVE_BATCH_RATE, BATCH)
    rig.fresh(keep_telemetry=False)
    publish(rig.bootstrap, load)
    say(f"{load.measurements:,} measurements published in messages of {BATCH}")
    found: list[Rate] = []
    idle: list[float] = []
    for _ in range(size.runs):
        found.append(tocsin_rate(rig, load))
        say(f"batches: {found[-1].line()}")
        idle.append(BATCH * comparison.consumer_rate(rig, load.measurements // BATCH))
        say(f"batches: a plain consumer that does nothing {idle[-1]:,.0f}/s")
    return [*batch_figures(found, idle), *arrays.limit(size.singles, size.runs, say)]


def batch_figures(found: list[Rate], idle: list[float]) -> list[Figure]:
    """Of the runs' results; ratios are of runs beside each other."""
    told = f"{BATCH} measurements a message"
    core = tuple(rate.per_s / rate.cores for rate in found)
    beside = tuple(rate.per_s / other for rate, other in zip(found, idle, strict=True))
    limit = f"a plain consumer on the same topic: {statistics.median(idle):,.0f} measurements/s"
    own = f"of the worker's own processor time, {statistics.median(rate.cores for rate in found):.2f} cores busy"
    rates = tuple(rate.per_s for rate in found)
    return [
        Figure("batch_measurements_per_s", "measurements/s", rates, ">= 4000000", told),
        Figure("batch_measurements_per_s_per_core", "measurements/s", core, ">= 3000000", own),
        Figure("batch_vs_consumer_ratio", "x", beside, ">= 0.4", limit),
    ]


def page_times(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """From what the mathematics sees to the page, at load."""
    pace = paging.plan(PAGE_LOAD, size.page_lead_s, size.page_gap_s, SERIES)
    found = []
    for _ in range(size.runs):
        found.append(paging.overheads(rig, pace))
        say(f"pages: {found[-1].line()}")
    pages = sum(len(run.seconds) for run in found)
    ideal = statistics.median(run.ideal_s for run in found)
    told = f"{pages} pages at {PAGE_LOAD:,} events/s; beyond the mathematics' own {ideal:.1f} s after a burn begins"
    return [
        Figure("page_overhead_p99_s", "s", tuple(run.quantile(0.99) for run in found), "<= 3", told),
        Figure("page_overhead_p50_s", "s", tuple(run.quantile(0.5) for run in found), "", told),
    ]


def gateways(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """One gateway process, alone, under attack and without a broker."""
    return gateway.figures(rig, size.runs, gateway.QUICK if size.name == "quick" else gateway.FULL, say)


def take_overs(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """From kill -9 to the first new rollup."""
    length_s = 120.0 * (size.runs + 1)
    pace = Pace(TAKEOVER_LOAD, length_s, MANY_SERIES, warm_up=True)
    found = takeover.kill_times(rig, pace, size.runs, say)
    timeout = takeover.session_timeout_s()
    told = f"of which the session timeout is {timeout:g} s; two workers, {MANY_SERIES:,} series, kill -9 of one"
    return [Figure("kill_to_rollup_s", "s", tuple(found), f"<= {timeout + SLACK_S:g}", told)]


def recoveries(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """From kill -9 to the first new window, beside stock Faust and Kafka Streams."""
    return recovery.compare(rig, size.runs, say)


def peers(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Single events, beside the Python peers."""
    return comparison.compare(rig, size.singles, size.peer_s, size.runs, say)


def java_peer(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Single events, beside Kafka Streams."""
    return kstreams.compare(rig, max(size.singles, kstreams.EVENTS_MIN), size.runs, say)


def flink_peer(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Single events, beside Flink."""
    return flink.compare(rig, max(size.singles, kstreams.EVENTS_MIN), size.runs, say)


def shape(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Out of order, and one hot series."""
    return shapes.disorder_and_heat(rig, size.singles, size.runs, say)


def million(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """A million series."""
    return shapes.million(rig, size.singles, size.runs, say)


def two_workers(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Two workers against one."""
    return pair.pair(rig, size.many, size.runs, say)


def million_beside(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """A million series, beside the peers in Java."""
    return bigger.million(rig, size.runs, say)


def two_beside(rig: Rig, size: Size, say: Say) -> list[Figure]:
    """Two workers, beside the peers in Java."""
    return bigger.two(rig, size.many, size.runs, say)


PARTS: Mapping[str, Callable[[Rig, Size, Say], list[Figure]]] = {
    "singles": singles,
    "peers": peers,
    "kstreams": java_peer,
    "flink": flink_peer,
    "batches": batches,
    "shapes": shape,
    "million": million,
    "pair": two_workers,
    "million-peers": million_beside,
    "pair-peers": two_beside,
    "pages": page_times,
    "takeover": take_overs,
    "recovery": recoveries,
    "gateway": gateways,
    "client": lambda rig, size, say: client.figures(rig.directory, size.runs, say),
    "detection": lambda rig, size, say: detection.figures(rig, size.runs, say, quick=size.name == "quick"),
}
#: What takes minutes whatever its size is not in the short form.
QUICK_PARTS = ("singles", "peers", "batches", "pages", "gateway")  # the client took 42 s of 319
