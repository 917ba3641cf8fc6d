"""Shapes: what events out of order, a hot series and a million series cost, against the plain load.

What: the same number of single events in another shape, each beside a plain run: 10 % of the events seconds older than
those around them, half of them of one series from every source, or a million series. Why ratios: what an engine does on
a good day says little about the rest. It refuses to compare runs that were not beside each other.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench.results import Figure
from bench.rig import Rig
from bench.throughput import Rate, tocsin_rate
from bench.workloads import DISORDER_MS, Load, publish

RATE = 150_000.0
MILLION_RATE, MILLION_EVENTS = 500_000.0, 20_000_000  # four panes
SERIES, MILLION = 1_000, 1_000_000
DISORDER, HOT = 0.1, 0.5

Say = Callable[[str], None]


def measured(rig: Rig, load: Load, what: str, say: Say) -> Rate:
    """One worker on a load of its own."""
    rig.fresh(keep_telemetry=False)
    publish(rig.bootstrap, load)
    rate = tocsin_rate(rig, load)
    say(f"{what}: {rate.line()}")
    return rate


def ratios(others: list[Rate], plain: list[Rate]) -> tuple[float, ...]:
    """Of runs beside each other."""
    return tuple(other.per_s / base.per_s for other, base in zip(others, plain, strict=True))


def cores(rates: list[Rate]) -> str:
    """How busy the worker was kept: where it is far from 1, the machine was not its own, and the ratio says little."""
    return f"{statistics.median(rate.cores for rate in rates):.2f} cores busy"


def disorder_and_heat(rig: Rig, measurements: int, runs: int, say: Say) -> list[Figure]:
    """Out of order, and one hot series."""
    plain: list[Rate] = []
    mixed: list[Rate] = []
    hot: list[Rate] = []
    for run in range(runs):
        plain.append(measured(rig, Load(measurements, SERIES, RATE, seed=run), "in order", say))
        mixed.append(measured(rig, Load(measurements, SERIES, RATE, seed=run, disorder=DISORDER), "disorder", say))
        hot.append(measured(rig, Load(measurements, SERIES, RATE, seed=run, hot=HOT), "hot series", say))
    base = (
        f"against {statistics.median(rate.per_s for rate in plain):,.0f} events/s in order and evenly, {cores(plain)}"
    )
    late = f"{DISORDER:.0%} of the events up to {DISORDER_MS / 1000:g} s older, {cores(mixed)}; {base}"
    heat = f"{HOT:.0%} of the events of one series, {cores(hot)}; {base}"
    return [
        Figure("out_of_order_ratio", "x", ratios(mixed, plain), ">= 0.8", late),
        Figure("hot_key_ratio", "x", ratios(hot, plain), ">= 0.8", heat),
    ]


def million(rig: Rig, measurements: int, runs: int, say: Say) -> list[Figure]:
    """A million series against a thousand, each seen once before the time counts.

    Event time runs as fast as the worker takes the events, so panes close as often as they would live at that throughput.
    At a third of it, in catch-up, most rows of a pane would be of one measurement or two, for either.
    """
    measurements = max(measurements, MILLION_EVENTS)
    few: list[Rate] = []
    many: list[Rate] = []
    for run in range(runs):
        few.append(measured(rig, Load(measurements, SERIES, MILLION_RATE, seed=run), f"{SERIES:,} series", say))
        load = Load(measurements + MILLION, MILLION, MILLION_RATE, seed=run, warm_up=True)
        many.append(measured(rig, load, f"{MILLION:,} series", say))
    told = (
        f"{statistics.median(r.per_s for r in many):,.0f} events/s against {statistics.median(r.per_s for r in few):,.0f}; "
        f"{MILLION_RATE:,.0f} events a second of event time"
    )
    room = tuple(1e6 * (more.rss_mb - less.rss_mb) / (MILLION - SERIES) for more, less in zip(many, few, strict=True))
    memory = (
        f"resident when done, beyond that of {SERIES:,} series; {statistics.median(r.peak_mb for r in many):,.0f} MB"
    )
    return [
        Figure("series_1m_ratio", "x", ratios(many, few), ">= 0.7", told),
        Figure("bytes_per_series", "bytes", room, "<= 1500", f"{memory} at most on the way"),
        Figure("series_1m_warm_up_s", "s", tuple(r.warm_s for r in many), "", f"first sight of {MILLION:,} series"),
    ]
