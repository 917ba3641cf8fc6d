"""Alerting policies as data files, and their scaling to an SLO's period.

What: reads `policies/*.yaml`, scales windows, and checks that a rule can fire at all. Why: the numbers that wake
people are data with a citation, not code. It refuses rules in which no error ratio could ever fire.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from alerts import limits
from alerts.fields import duration_of, items_of, name_of, number_of, section, word_of
from alerts.problem import Mark, Sheet
from alerts.slo import SEVERITIES, Policy, Tier
from alerts.yamltree import Node, documents

DEFAULT = "default-30d"
DIRECTORY = Path(__file__).parent / "policies"
_FIELDS = ("name", "period", "wilson_z", "coverage_share", "freshness", "rules")


def whole_panes(duration_ms: float) -> int:
    """The duration rounded to whole panes, never less than one pane. ms in, ms out."""
    return max(1, round(duration_ms / limits.PANE_MS)) * limits.PANE_MS


def scaled(policy: Policy, period_ms: int) -> Policy:
    """The policy for another period: windows grow or shrink linearly, factors stay.

    Source: factor = share x period / window (SRE workbook, ch. 5), so equal scaling of period and window keeps the
    share of budget at which a rule fires. The shortest window is one pane of 10 s.
    """
    if period_ms == policy.period_ms:
        return policy
    by = period_ms / policy.period_ms
    tiers = tuple(
        dataclasses.replace(tier, long_ms=whole_panes(tier.long_ms * by), short_ms=whole_panes(tier.short_ms * by))
        for tier in policy.tiers
    )
    return dataclasses.replace(policy, period_ms=period_ms, tiers=tiers)


def can_fire(tier: Tier, allowed: float) -> bool:
    """Whether a full outage passes the rule: its burn rate is 1 / allowed, which has to lie above the factor."""
    return tier.factor * allowed < 1.0


def spent_when_firing(tier: Tier, period_ms: int) -> float:
    """Share of the period's budget that is spent when the rule fires on a steady burn: factor x long / period."""
    return tier.factor * tier.long_ms / period_ms


def _tier(sheet: Sheet, node: Node) -> Tier | None:
    found = section(sheet, node, "a rule", ("severity", "long", "short", "factor"))
    if found is None:
        return None
    severity = word_of(sheet, found.get("severity"), "severity", SEVERITIES[1:])
    long_ms = duration_of(sheet, found.get("long"), "the long window")
    short_ms = duration_of(sheet, found.get("short"), "the short window")
    factor = number_of(sheet, found.get("factor"), "factor")
    if severity is None or long_ms is None or short_ms is None or factor is None:
        return None
    if not limits.PANE_MS <= short_ms <= long_ms:
        sheet.wrong(
            found["short"].mark, "the short window has to be between 10s and the long window", "a twelfth is usual"
        )
        return None
    if factor <= 0:
        sheet.wrong(found["factor"].mark, "factor has to be positive", "14.4 is usual for an hour of 30 days")
        return None
    return Tier(severity, long_ms, short_ms, float(factor))


def _policy(sheet: Sheet, node: Node) -> Policy | None:
    found = section(sheet, node, "a policy", _FIELDS)
    if found is None:
        return None
    name = name_of(sheet, found.get("name"), "name")
    period_ms = duration_of(sheet, found.get("period"), "period")
    z = number_of(sheet, found.get("wilson_z"), "wilson_z")
    share = number_of(sheet, found.get("coverage_share"), "coverage_share")
    slack_ms = duration_of(sheet, found.get("freshness"), "freshness")
    rules = [_tier(sheet, rule) for rule in items_of(sheet, found.get("rules"), "rules", limits.TIERS_MAX)]
    tiers = tuple(tier for tier in rules if tier is not None)
    if name is None or period_ms is None or z is None or share is None or slack_ms is None or len(sheet):
        return None
    if not tiers or any(tier.long_ms > period_ms for tier in tiers):
        sheet.wrong(node.mark, "a policy needs at least one rule, and no window longer than its period")
    if not (0 <= z <= 6 and 0 <= share <= 1 and period_ms >= limits.PERIOD_MS_MIN and slack_ms >= limits.PANE_MS):
        sheet.wrong(node.mark, "wilson_z is 0 to 6, coverage_share 0 to 1, period at least 1h, freshness at least 10s")
    return None if len(sheet) else Policy(name, period_ms, tiers, float(z), float(share), slack_ms)


def parse_policy(text: str, file: str) -> tuple[Policy | None, Sheet]:
    """One policy file. The answer is None exactly when the sheet holds problems."""
    sheet = Sheet(file)
    nodes = documents(text, sheet)
    if len(nodes) != 1 and not len(sheet):
        sheet.wrong(Mark(1, 1), "a policy file holds one document")
    return (None if len(sheet) else _policy(sheet, nodes[0])), sheet


def shipped_policies() -> Mapping[str, Policy]:
    """The policies that come with this room, by name."""
    found: dict[str, Policy] = {}
    for path in sorted(DIRECTORY.glob("*.yaml")):
        policy, sheet = parse_policy(path.read_text("utf-8"), path.name)
        assert policy is not None, [str(problem) for problem in sheet.problems]
        found[policy.name] = policy
    return found
