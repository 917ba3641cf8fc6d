"""OpenSLO alert policies and conditions: to burn-rate rules.

What: an AlertPolicy names one AlertCondition; each becomes one rule with its lookback as the long window. Why:
OpenSLO states one window a condition, so the short window is its twelfth (SRE workbook, ch. 5), or what the
annotation `tocsin.dev/short-window` of the condition says. It refuses `alertAfter`: the short window does that.
"""

from __future__ import annotations

from alerts import limits
from alerts.fields import duration_of, flag_of, items_of, number_of, section, text_of, word_of
from alerts.openslo import Catalog, Document, referred
from alerts.policy import whole_panes
from alerts.problem import Sheet
from alerts.slo import SEVERITIES, Tier
from alerts.yamltree import Node, Scalar

_FLAGS = ("alertWhenNoData", "alertWhenResolved", "alertWhenBreaching")
_CONDITION = ("kind", "op", "threshold", "lookbackWindow")


def _short_ms(document: Document, long_ms: int) -> int | None:
    written = document.own("short-window")
    if not written:
        return whole_panes(long_ms / 12)
    node = Scalar(written, True, document.mark)
    short_ms = duration_of(document.sheet, node, "annotation tocsin.dev/short-window")
    if short_ms is not None and not limits.PANE_MS <= short_ms <= long_ms:
        document.sheet.wrong(
            document.mark, "the short window has to be between 10s and the lookback window", "a twelfth is usual"
        )
        return None
    return short_ms


def _tier(document: Document) -> Tier | None:
    sheet = document.sheet
    found = section(sheet, document.spec, "spec of AlertCondition", ("severity", "condition"), ("description",))
    if found is None or "condition" not in found:
        return None
    severity = word_of(sheet, found.get("severity"), "severity", SEVERITIES[1:])
    body = section(sheet, found["condition"], "condition", _CONDITION, ("alertAfter",))
    if body is None:
        return None
    kind = word_of(sheet, body.get("kind"), "condition.kind", ("burnrate",))
    operator = word_of(sheet, body.get("op"), "condition.op", ("gt", "gte"))
    factor = number_of(sheet, body.get("threshold"), "condition.threshold")
    long_ms = duration_of(sheet, body.get("lookbackWindow"), "condition.lookbackWindow")
    after_ms = duration_of(sheet, body.get("alertAfter"), "condition.alertAfter")
    if after_ms:
        sheet.wrong(
            body["alertAfter"].mark, "alertAfter is not obeyed", "the short window keeps an alert from lingering"
        )
    if severity is None or kind is None or operator is None or factor is None or long_ms is None:
        return None
    if factor <= 0 or long_ms < limits.PANE_MS:
        sheet.wrong(found["condition"].mark, "threshold has to be positive, and lookbackWindow at least 10s")
        return None
    short_ms = _short_ms(document, long_ms)
    return None if short_ms is None else Tier(severity, long_ms, short_ms, float(factor))


def _policy_tiers(catalog: Catalog, document: Document) -> list[Tier]:
    sheet = document.sheet
    optional = ("description", "notificationTargets", *_FLAGS)
    found = section(sheet, document.spec, "spec of AlertPolicy", ("conditions",), optional)
    if found is None:
        return []
    text_of(sheet, found.get("description"), "description")
    for flag in _FLAGS:
        flag_of(sheet, found.get(flag), flag)
    conditions = items_of(sheet, found.get("conditions"), "conditions", limits.TIERS_MAX)
    if "conditions" in found and len(conditions) != 1:
        sheet.wrong(
            found["conditions"].mark, "an OpenSLO AlertPolicy has exactly one condition", "write one policy a rule"
        )
    tiers: list[Tier] = []
    for node in conditions:
        condition = referred(catalog, sheet, node, "AlertCondition", "conditionRef")
        tier = _tier(condition) if condition is not None else None
        tiers += [tier] if tier is not None else []
    return tiers


def read_tiers(catalog: Catalog, sheet: Sheet, node: Node | None) -> tuple[Tier, ...]:
    """The rules of an SLO's `alertPolicies`, longest factor first; empty when it names none."""
    tiers: list[Tier] = []
    for item in items_of(sheet, node, "alertPolicies", limits.TIERS_MAX):
        policy = referred(catalog, sheet, item, "AlertPolicy", "alertPolicyRef")
        if policy is not None:
            tiers += _policy_tiers(catalog, policy)
    return tuple(sorted(tiers, key=lambda tier: (-SEVERITIES.index(tier.severity), -tier.factor, tier.long_ms)))
