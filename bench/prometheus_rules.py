"""Rules for Prometheus that ask what an SLO of ours asks: the same windows, factors and target, in its language.

What: an SLO's policy as a Prometheus rule file (JSON, which is YAML), one alert a severity. Counters are named by the
caller: bad and total of the SLI. Why straight rates and no recording rules: recorded windows wait for one evaluation
more, and the peer is measured at its best. It refuses what Prometheus has no words for: the Wilson bound, coverage and
unmeasured groups stay ours, and docs/verdicts.md tells what that changes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from alerts.slo import SEVERITIES, Policy, Slo, Tier


@dataclasses.dataclass(frozen=True, slots=True)
class Counters:
    """Names of an SLI's counters in Prometheus."""

    bad: str
    total: str


def _ratio(counters: Counters, by: Sequence[str], window_ms: int) -> str:
    """Error ratio over a window. A total that did not move gives NaN, which passes no threshold."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (rate({counters.bad}[{window_ms}ms])) / sum{grouped} (rate({counters.total}[{window_ms}ms]))"


def burns(tier: Tier, allowed: float, counters: Counters, by: Sequence[str] = ()) -> str:
    """The expression of one tier: both windows burn faster than its factor."""
    bound = f"{tier.factor:g} * {allowed:.10g}"
    long, short = (_ratio(counters, by, window) for window in (tier.long_ms, tier.short_ms))
    return f"(({long}) > ({bound}) and ({short}) > ({bound}))"


def severities(policy: Policy) -> list[str]:
    """The severities that a policy has, the worst first."""
    return [severity for severity in reversed(SEVERITIES) if any(tier.severity == severity for tier in policy.tiers)]


def rule_file(slo: Slo, counters: Counters) -> str:
    """The rule file of an SLO with one objective."""
    (objective,) = slo.objectives
    rules = []
    for severity in severities(slo.policy):
        tiers = [tier for tier in slo.policy.tiers if tier.severity == severity]
        expression = " or ".join(burns(tier, objective.allowed, counters, slo.group_by) for tier in tiers)
        rules.append({"alert": f"{slo.name}-{severity}", "expr": expression, "labels": {"severity": severity}})
    return json.dumps({"groups": [{"name": slo.name, "rules": rules}]}, indent=1)
