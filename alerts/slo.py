"""SLOs as values: objective, indicator, policy.

What: frozen values that the loader makes and everything else reads. Why: a decision reads values, never files.
It refuses to know YAML, Kafka or time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from alerts.matcher import Matcher

SEVERITIES = ("none", "ticket", "page")  # by rank
Operator = Literal["lte", "lt", "gte", "gt"]


@dataclasses.dataclass(frozen=True, slots=True)
class Selector:
    """Which series an SLI reads: a metric, matchers on its labels, and the kind of source (None: any)."""

    metric: str
    matchers: tuple[Matcher, ...] = ()
    source_kind: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Outcomes:
    """Good share of outcomes: each measurement says itself whether it was good."""

    series: Selector


@dataclasses.dataclass(frozen=True, slots=True)
class Ratio:
    """Counters: the amounts of `part` (good or bad) over those of `total`. Part is within total."""

    part: Selector
    part_is_good: bool
    total: Selector


@dataclasses.dataclass(frozen=True, slots=True)
class Threshold:
    """Share of values on the good side of each objective's threshold; histograms, gauges and outcomes."""

    series: Selector


Indicator = Outcomes | Ratio | Threshold


@dataclasses.dataclass(frozen=True, slots=True)
class Objective:
    """A target share of good, and for a threshold SLI what good is.

    `allowed` is 1 - target, computed in decimal from the text of the file, so that 99.9 % allows exactly 0.001.
    """

    index: int
    target: float
    allowed: float
    name: str = ""
    operator: Operator | None = None
    value: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Tier:
    """One burn-rate rule: fire with `severity` when both windows burn faster than `factor`. Windows in ms."""

    severity: str
    long_ms: int
    short_ms: int
    factor: float


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """When to alert. Windows in ms of event time.

    z: standard normal quantile of the Wilson lower bound; coverage_share: how much of the long window's coverage
    the short window needs before it may clear; slack_ms: added to the lateness of the kind of source, the age at
    which a group is unmeasured.
    """

    name: str
    period_ms: int
    tiers: tuple[Tier, ...]
    z: float
    coverage_share: float
    slack_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class Slo:
    """One service level objective document, whole. `source_kind` None: time of the newest kind."""

    name: str
    title: str
    description: str
    service: str
    period_ms: int
    indicator: Indicator
    objectives: tuple[Objective, ...]
    group_by: tuple[str, ...]
    policy: Policy
    source_kind: int | None
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
