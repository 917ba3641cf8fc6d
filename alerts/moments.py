"""Moments that nobody judged: what the rules say of windows that ended while a source partition lagged.

What: `exceeded_between` judges each pane's end within a span that has just become complete. Why: a group is judged at the
newest event time; where a source partition is behind by more than a short window, what it tells never lies in a window
that ends there, and a burn that it alone sees would page nobody. It refuses groups in which no pane of the span could
pass a rule: most, so that catching up stays cheap.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from alerts import limits
from alerts.burn_rate import Verdict, judge
from alerts.history import NEVER, History, Ints, Shares
from alerts.slo import Policy

Flags = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Which rules were exceeded, shape (groups, rules), and at which moment last, ms by group; NEVER: at none."""

    exceeded: Flags
    at_ms: Ints


def exceeded_between(
    policy: Policy, history: History, allowed: NDArray[np.float64], rows: Ints, after_ms: Ints, upto_ms: Ints
) -> Found:
    """The rules at each pane's end in (after, upto], at most HOLD_MS back; `after_ms` and `upto_ms` begin panes."""
    found = Found(np.zeros((len(rows), len(policy.tiers)), np.bool_), np.full(len(rows), NEVER, np.int64))
    suspects = np.flatnonzero(_could_pass(policy, history, allowed, rows, after_ms, upto_ms))
    for back_ms in range(limits.HOLD_MS, -1, -limits.PANE_MS):
        some = suspects[upto_ms[suspects] - back_ms > after_ms[suspects]]
        for first in range(0, len(some), limits.HELD_ROWS):
            mine = some[first : first + limits.HELD_ROWS]
            at_ms = upto_ms[mine] - back_ms
            verdict = judge(policy, history.layout, history.shares_at(rows[mine], at_ms), allowed[mine])
            found.exceeded[mine] |= verdict.exceeded
            found.at_ms[mine] = np.where(verdict.exceeded.any(axis=1), at_ms, found.at_ms[mine])
    return found


def _could_pass(
    policy: Policy, history: History, allowed: NDArray[np.float64], rows: Ints, after_ms: Ints, upto_ms: Ints
) -> Flags:
    """Whether one pane alone is bad enough for the mildest rule; the ratio of a window is at most that of its worst pane."""
    least = min(tier.factor for tier in policy.tiers)
    slots, head = history.layout.slots[0], history.head[rows, 0][:, None]
    start_ms = (head - (head - np.arange(slots)) % slots) * limits.PANE_MS
    short_ms = max(min(tier.short_ms for tier in policy.tiers), limits.PANE_MS)
    inside = (start_ms >= (after_ms - short_ms)[:, None]) & (start_ms < upto_ms[:, None])
    good, total = history.good[0][rows], history.total[0][rows]
    return np.asarray((inside & (total - good > least * allowed[:, None] * total)).any(axis=1))


def explain(verdict: Verdict, sums: Shares, then: Verdict, then_sums: Shares, rows: Ints) -> None:
    """Let these rows of a verdict say what was so at the moment that decided."""
    for field in dataclasses.fields(Verdict):
        getattr(verdict, field.name)[rows] = getattr(then, field.name)
    for field in dataclasses.fields(Shares):
        getattr(sums, field.name)[rows] = getattr(then_sums, field.name)
