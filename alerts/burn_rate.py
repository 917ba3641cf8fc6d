"""Burn rates: how fast a group spends its budget, and whether that is certain.

What: burn rate of a window, Wilson lower bound of its error ratio, and the verdict of a policy's rules on many
groups at once. Why: this is the mathematics that wakes people, so it stands alone, on arrays, with its sources.
It refuses to remember: what was firing before is not known here.

Sources: burn = error ratio / (1 - target), and the two-window rule: The Site Reliability Workbook (2018), ch. 5.
Lower bound: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from alerts.history import Layout, Shares, Window, buckets_in
from alerts.slo import Policy

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_BUCKETS_MIN = 72  # resolution: a bucket is at most 1.4 % of its window, unless it is one pane


def error_ratio(good: Floats, total: Floats) -> Floats:
    """Share of bad, 0 to 1; 0 where nothing was measured. Any one shape."""
    safe = np.where(total > 0, total, 1.0)
    return np.where(total > 0, np.clip((total - good) / safe, 0.0, 1.0), 0.0)


def burn(good: Floats, total: Floats, allowed: Floats) -> Floats:
    """Burn rate: error ratio / (1 - target) (SRE workbook, ch. 5). 1 spends the budget exactly by the period's end."""
    return error_ratio(good, total) / allowed


def wilson_low(ratio: Floats, count: Floats, z: float) -> Floats:
    """Lower end of the Wilson score interval (Wilson 1927) of a ratio seen in `count` measurements; 0 where none were.

    L = (p + z^2/2n - z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), with p the ratio, n the count, z one-sided.
    """
    n = np.where(count > 0, count, 1.0)
    spread = z * np.sqrt(ratio * (1.0 - ratio) / n + z * z / (4.0 * n * n))
    low = (ratio + z * z / (2.0 * n) - spread) / (1.0 + z * z / n)
    return np.where(count > 0, np.maximum(low, 0.0), 0.0)


def layout_of(policy: Policy) -> Layout:
    """Windows of a policy in this order: long and short of each rule, then the whole period."""
    windows: list[Window] = []
    for tier in policy.tiers:
        windows += [Window(tier.long_ms, _BUCKETS_MIN), Window(tier.short_ms, _BUCKETS_MIN)]
    return Layout.of([*windows, Window(policy.period_ms, _BUCKETS_MIN)])


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Per group and rule, shape (groups, rules): what the rules say now.

    exceeded: raise; below: at least one window is at or under the factor; measured: the short window was measured
    densely enough for `below` to be believed.
    """

    long_burn: Floats
    short_burn: Floats
    wilson_low: Floats
    exceeded: Flags
    below: Flags
    measured: Flags


def judge(policy: Policy, layout: Layout, sums: Shares, allowed: Floats) -> Verdict:
    """The verdict of each rule on each group. `allowed` is 1 - target, shape (groups,).

    A rule is exceeded when long burn > factor, short burn > factor, and the Wilson lower bound of the long
    window's error ratio > factor x (1 - target). The short window is measured when at least one of its buckets
    holds data and its share of such buckets is at least `coverage_share` of the long window's share.
    """
    rules = len(policy.tiers)
    long, short = np.arange(rules) * 2, np.arange(rules) * 2 + 1
    factor = np.array([tier.factor for tier in policy.tiers])
    room = allowed[:, None]
    ratio = error_ratio(sums.good[:, long], sums.total[:, long])
    long_burn, short_burn = ratio / room, burn(sums.good[:, short], sums.total[:, short], room)
    low = wilson_low(ratio, sums.total[:, long], policy.z)
    above = (long_burn > factor) & (short_burn > factor)
    buckets = np.array([buckets_in(layout, window) for window in range(2 * rules)], np.float64)
    long_share, short_share = sums.measured[:, long] / buckets[long], sums.measured[:, short] / buckets[short]
    measured = (sums.measured[:, short] >= 1) & (short_share >= policy.coverage_share * long_share)
    return Verdict(long_burn, short_burn, low, above & (low > factor * room), ~above, measured)
