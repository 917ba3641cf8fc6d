"""Ideal: when a burn should be seen, by the mathematics alone, on the events that were really published.

What: for each event time the error ratio of a long and a short window that end there, compared with the burn-rate
thresholds, gated by the Wilson lower bound; written from the literature, sharing no code with the product. Why: the
time from event to page is only honest as measured minus ideal. It refuses panes, watermarks and clocks: windows slide
from event to event.

Sources: Google, "The Site Reliability Workbook", chapter 5, table 5-8 (windows and factors for 30 days); E. B. Wilson
1927 for the bound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Z = 2.326  # one-sided 99 %
DAY_MS = 86_400_000
PANE_MS = 10_000
COVERAGE = 0.5
SEVERITIES = ("none", "ticket", "page")


@dataclasses.dataclass(frozen=True, slots=True)
class Tier:
    """Fire with that severity while both windows burn faster than `factor`. Lengths in ms."""

    severity: str
    factor: float
    long_ms: int
    short_ms: int


#: For a period of 30 days: (severity, factor, long, short), lengths in hours.
WORKBOOK = (
    ("page", 14.4, 1.0, 1 / 12),
    ("page", 6.0, 6.0, 0.5),
    ("ticket", 3.0, 24.0, 2.0),
    ("ticket", 1.0, 72.0, 6.0),
)


def tiers(period_ms: int) -> tuple[Tier, ...]:
    """The workbook's tiers with their windows scaled from 30 days to the period; factors keep their value."""
    scale = period_ms / (30 * DAY_MS)
    return tuple(
        Tier(severity, factor, round(long * 3_600_000 * scale), round(short * 3_600_000 * scale))
        for severity, factor, long, short in WORKBOOK
    )


def wilson_low(bad: NDArray[np.float64], total: NDArray[np.float64], z: float = Z) -> NDArray[np.float64]:
    """Lower bound of the error ratio with that confidence; 0 where nothing was measured. Shapes (n,)."""
    n = np.maximum(total, 1.0)
    ratio = bad / n
    spread = z * np.sqrt(ratio * (1 - ratio) / n + z * z / (4 * n * n))
    return np.where(total > 0, (ratio + z * z / (2 * n) - spread) / (1 + z * z / n), 0.0)


def window_sums(
    times: NDArray[np.int64], bad: NDArray[np.int64], length_ms: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(bad, total) of the window that ends with each event and reaches back `length_ms`, its end included. Shape (n,)."""
    upto = np.concatenate(([0], np.cumsum(bad)))
    end = np.searchsorted(times, times, side="right")
    start = np.searchsorted(times, times - length_ms, side="right")
    return (upto[end] - upto[start]).astype(np.float64), (end - start).astype(np.float64)


def firing(
    times: NDArray[np.int64], good: NDArray[np.bool_], target: float, tier: Tier, z: float = Z
) -> NDArray[np.bool_]:
    """Whether the tier fires at each event (ordered by time). Shape (n,). z 0: the workbook alone, without the bound."""
    bad = (~good).astype(np.int64)
    threshold = tier.factor * (1 - target)
    long_bad, long_total = window_sums(times, bad, tier.long_ms)
    short_bad, short_total = window_sums(times, bad, tier.short_ms)
    return np.asarray(
        (long_bad > threshold * long_total)
        & (short_bad > threshold * short_total)
        & (wilson_low(long_bad, long_total, z) > threshold)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """One page that the mathematics asks for. Times in ms since epoch."""

    slo: str
    group: tuple[tuple[str, str], ...]
    severity: str
    burn_started_ms: int
    fires_ms: int
    clears_ms: int | None  # None while it burns at the end of the data

    @property
    def ideal_seconds(self) -> float:
        """From the first bad event of the burn to the moment at which it can be known."""
        return (self.fires_ms - self.burn_started_ms) / 1000


def pages(
    times: NDArray[np.int64], good: NDArray[np.bool_], target: float, policy: Sequence[Tier],
    slo: str = "", group: tuple[tuple[str, str], ...] = (), z: float = Z,
) -> list[Expected]:  # fmt: skip
    """Every page of one SLO and group, in order: from the event at which a page tier fires until none does."""
    found: list[Expected] = []
    if not len(times):
        return found
    paging = [tier for tier in policy if tier.severity == "page"]
    active = np.logical_or.reduce([firing(times, good, target, tier, z) for tier in paging])
    changes = np.flatnonzero(np.diff(np.concatenate(([False], active)).astype(np.int8)))
    for place, begin in enumerate(changes[::2]):
        ends = changes[2 * place + 1] if 2 * place + 1 < len(changes) else None
        lead = next(tier for tier in paging if firing(times, good, target, tier, z)[begin])
        started = burn_start(times, good, int(begin), lead)
        clears = None if ends is None else int(times[ends])
        found.append(Expected(slo, group, "page", started, int(times[begin]), clears))
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Life:
    """One alert from its first severity to its end: (event time in ms, severity) of each change, the last one "none" if
    it resolved."""

    slo: str
    group: tuple[tuple[str, str], ...]
    steps: tuple[tuple[int, str], ...]

    @property
    def paged_ms(self) -> int | None:
        """When it first paged, if it did."""
        return next((at_ms for at_ms, severity in self.steps if severity == "page"), None)

    @property
    def resolved_ms(self) -> int | None:
        """When it ended; None while it burns at the end of the data."""
        at_ms, severity = self.steps[-1]
        return at_ms if severity == "none" else None


def latched(
    times: NDArray[np.int64], good: NDArray[np.bool_], target: float, tier: Tier, z: float = Z
) -> NDArray[np.bool_]:
    """Whether the tier burns at each event: from one at which it fires until one at which a window is at or below the
    threshold and the short window was measured: in at least half as large a share of its panes as the long one. Shape (n,)."""
    bad = (~good).astype(np.int64)
    threshold = tier.factor * (1 - target)
    sums = [window_sums(times, bad, length) for length in (tier.long_ms, tier.short_ms)]
    below = np.logical_or.reduce([bad_in <= threshold * total for bad_in, total in sums])
    measured = occupied(times, tier.short_ms) >= COVERAGE * occupied(times, tier.long_ms)
    change = np.where(firing(times, good, target, tier, z), 1, np.where(below & measured, -1, 0))
    newest = np.maximum.accumulate(np.where(change != 0, np.arange(len(times)), -1))
    return np.asarray((newest >= 0) & (change[newest] > 0))


def occupied(times: NDArray[np.int64], length_ms: int) -> NDArray[np.float64]:
    """Share of a window's panes that hold an event, for the window that ends with each event. Shape (n,)."""
    panes = np.unique(times // PANE_MS)
    last = np.searchsorted(panes, times // PANE_MS, side="right")
    first = np.searchsorted(panes, (times - length_ms) // PANE_MS, side="right")
    return np.asarray((last - first) / max(1, length_ms // PANE_MS))


def lives(
    times: NDArray[np.int64], good: NDArray[np.bool_], target: float, policy: Sequence[Tier],
    slo: str = "", group: tuple[tuple[str, str], ...] = (), z: float = Z,
) -> list[Life]:  # fmt: skip
    """Every alert of one SLO and group, in order: its severity is the highest of the tiers that burn."""
    if not len(times):
        return []
    rank = np.zeros(len(times), np.int64)
    for tier in policy:
        rank = np.maximum(rank, latched(times, good, target, tier, z) * SEVERITIES.index(tier.severity))
    found: list[list[tuple[int, str]]] = []
    for at in np.flatnonzero(np.diff(rank, prepend=0)).tolist():
        if at == 0 or rank[at - 1] == 0:
            found.append([])
        found[-1].append((int(times[at]), SEVERITIES[rank[at]]))
    return [Life(slo, group, tuple(steps)) for steps in found]


def burn_start(times: NDArray[np.int64], good: NDArray[np.bool_], at: int, tier: Tier) -> int:
    """The first bad event of the burn that fires at event `at`: bad events of the long window that lie no further
    apart than the short window belong to one burn. ms since epoch."""
    bad = times[: at + 1][~good[: at + 1]]
    bad = bad[bad > times[at] - tier.long_ms]
    gaps = np.flatnonzero(np.diff(bad) > tier.short_ms)
    return int(bad[gaps[-1] + 1] if len(gaps) else bad[0])
