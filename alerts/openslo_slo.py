"""OpenSLO SLO documents: to `Slo` values.

What: time window, objectives, indicator, fan-out and policy of one SLO. Why one file: these fields decide about
each other (a threshold needs an operator, a target bounds the burn rate). It refuses what it would not evaluate:
calendar windows, time slices and composites are named as problems, never silently read as something else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from alerts import limits
from alerts.fields import duration_of, flag_of, items_of, name_of, number_of, section, text_or, word_of
from alerts.openslo import Catalog, Document, inline
from alerts.openslo_alerting import read_tiers
from alerts.openslo_sli import KINDS, Sli, read_sli
from alerts.policy import DEFAULT, can_fire, scaled
from alerts.problem import Sheet
from alerts.slo import Objective, Operator, Policy, Slo, Threshold
from alerts.yamltree import Node
from schemas.problem import did_you_mean

_REQUIRED = ("service", "timeWindow", "budgetingMethod", "objectives")
_OPTIONAL = ("description", "indicator", "indicatorRef", "alertPolicies")
_OPERATORS = ("lte", "lt", "gte", "gt")
_OBJECTIVE = ("displayName", "op", "value", "target", "targetPercent")
_NOT_EVALUATED = ("timeSliceTarget", "timeSliceWindow", "indicator", "indicatorRef", "compositeWeight")


def _indicator(catalog: Catalog, document: Document, found: Mapping[str, Node]) -> Sli | None:
    sheet = document.sheet
    if ("indicator" in found) == ("indicatorRef" in found):
        sheet.wrong(document.spec.mark, "an SLO needs either indicator or indicatorRef", "keep one of the two")
        return None
    if "indicator" in found:
        sli = inline(sheet, found["indicator"], "SLI", document.name)
    else:
        sli = catalog.find(sheet, "SLI", found["indicatorRef"])
    return None if sli is None else read_sli(sli)


def _period_ms(sheet: Sheet, node: Node | None) -> int | None:
    windows = items_of(sheet, node, "timeWindow", 1)
    if node is None or not windows:
        if node is not None:
            sheet.wrong(node.mark, "timeWindow needs one entry", "write - duration: 30d, isRolling: true")
        return None
    found = section(sheet, windows[0], "a timeWindow", ("duration",), ("isRolling", "calendar"))
    if found is None:
        return None
    if "calendar" in found or flag_of(sheet, found.get("isRolling"), "isRolling") is not True:
        mark = found["calendar"].mark if "calendar" in found else windows[0].mark
        sheet.wrong(mark, "only rolling windows are evaluated", "write isRolling: true and no calendar")
        return None
    period_ms = duration_of(sheet, found.get("duration"), "duration")
    if period_ms is not None and not limits.PERIOD_MS_MIN <= period_ms <= limits.PERIOD_MS_MAX:
        sheet.wrong(found["duration"].mark, "the period has to be between 1h and 92d", "30d is usual")
        return None
    return period_ms


def _target(sheet: Sheet, found: Mapping[str, Node], node: Node) -> Decimal | None:
    if ("target" in found) == ("targetPercent" in found):
        sheet.wrong(node.mark, "an objective needs either target or targetPercent", "keep one of the two")
        return None
    percent = "targetPercent" in found
    field = "targetPercent" if percent else "target"
    written = number_of(sheet, found[field], field)
    if written is None:
        return None
    target = written / 100 if percent else written
    if not 0 < target < 1:
        hint = "99.9 % is `target: 0.999`, or `targetPercent: 99.9`"
        sheet.wrong(
            found[field].mark, f"{field} has to lie between 0 and {'100' if percent else '1'}, both excluded", hint
        )
        return None
    return target


def _objective(sheet: Sheet, node: Node, index: int, threshold: bool) -> Objective | None:
    found = section(sheet, node, "an objective", (), (*_OBJECTIVE, *_NOT_EVALUATED))
    if found is None:
        return None
    for field in _NOT_EVALUATED:
        if field in found:
            sheet.wrong(
                found[field].mark, f"{field} is not evaluated", "one indicator, by occurrences, without weights"
            )
    target = _target(sheet, found, node)
    operator = word_of(sheet, found.get("op"), "op", _OPERATORS)
    value = number_of(sheet, found.get("value"), "value")
    if threshold and ("op" not in found or "value" not in found):
        sheet.wrong(node.mark, "an objective on a thresholdMetric needs op and value", "as in op: lte, value: 300")
        return None
    if not threshold and ("op" in found or "value" in found):
        sheet.wrong(node.mark, "op and value belong to a thresholdMetric", "a ratio needs a target only")
        return None
    if target is None or (threshold and (operator is None or value is None)):
        return None
    name = text_or(sheet, found.get("displayName"), "displayName", "")
    allowed = float(1 - target)
    return Objective(index, float(target), allowed, name, cast("Operator | None", operator), float(value or 0))


def _policy(
    catalog: Catalog, document: Document, found: Mapping[str, Node], shipped: Mapping[str, Policy], period_ms: int
) -> Policy | None:
    sheet = document.sheet
    name = document.own("policy") or DEFAULT
    if name not in shipped:
        sheet.wrong(document.mark, f"there is no alerting policy named {name[:80]!r}", did_you_mean(name, shipped))
        return None
    policy = scaled(shipped[name], period_ms)
    if "alertPolicies" in found:
        tiers = read_tiers(catalog, sheet, found["alertPolicies"])
        for tier in tiers:
            if tier.long_ms > period_ms:
                sheet.wrong(
                    found["alertPolicies"].mark, "a lookback window is longer than the SLO's period", "shorten it"
                )
        policy = dataclasses.replace(policy, name="own", tiers=tiers) if tiers else policy
    if freshness := document.own("freshness"):
        if not freshness.removesuffix("s").isdigit() or int(freshness.removesuffix("s")) < 10:
            sheet.wrong(document.mark, "tocsin.dev/freshness has to be whole seconds, at least 10s", "as in 20s")
            return None
        policy = dataclasses.replace(policy, slack_ms=int(freshness.removesuffix("s")) * 1_000)
    return policy


def _check_ceilings(sheet: Sheet, nodes: tuple[Node, ...], objectives: tuple[Objective, ...], policy: Policy) -> None:
    for objective in objectives:
        for tier in policy.tiers:
            if not can_fire(tier, objective.allowed):
                what = f"the rule {tier.severity} at {tier.factor:g}x can never fire at target {objective.target:g}"
                hint = f"a full outage burns at {1 / objective.allowed:g}x; give the SLO alertPolicies of its own"
                sheet.wrong(nodes[objective.index].mark, what, hint)


def _fan_out(document: Document, sli: Sli) -> tuple[tuple[str, ...], int | None]:
    written = tuple(sorted({part.strip() for part in document.own("group-by").split(",") if part.strip()}))
    if written and sli.group_by and written != tuple(sorted(sli.group_by)):
        document.sheet.wrong(document.mark, "annotation tocsin.dev/group-by and groupBy of the SLI differ")
    if len(written) > limits.GROUP_BY_MAX:
        document.sheet.wrong(document.mark, f"tocsin.dev/group-by has more than {limits.GROUP_BY_MAX} labels")
    kind = document.own("source-kind")
    if kind and kind not in KINDS:
        document.sheet.wrong(document.mark, f"unknown source kind {kind[:80]!r}", did_you_mean(kind, KINDS))
    elif kind and sli.source_kind not in (None, KINDS.index(kind)):
        document.sheet.wrong(document.mark, "annotation tocsin.dev/source-kind and kind of the SLI differ")
    group_by = written or tuple(sorted(set(sli.group_by)))
    return group_by, KINDS.index(kind) if kind in KINDS else sli.source_kind


def read_slo(catalog: Catalog, document: Document, shipped: Mapping[str, Policy]) -> Slo | None:
    """One SLO; None when problems were noted on its sheet (or on that of a document it refers to)."""
    sheet = document.sheet
    found = section(sheet, document.spec, "spec of SLO", _REQUIRED, _OPTIONAL)
    if found is None:
        return None
    service = name_of(sheet, found.get("service"), "service")
    method = found.get("budgetingMethod")
    if method is not None and text_or(sheet, method, "budgetingMethod", "") in ("Timeslices", "RatioTimeslices"):
        sheet.wrong(method.mark, "time slices are not evaluated", "write budgetingMethod: Occurrences")
    else:
        word_of(sheet, method, "budgetingMethod", ("Occurrences",))
    sli = _indicator(catalog, document, found)
    period_ms = _period_ms(sheet, found.get("timeWindow"))
    nodes = items_of(sheet, found.get("objectives"), "objectives", limits.OBJECTIVES_MAX)
    if "objectives" in found and not nodes:
        sheet.wrong(found["objectives"].mark, "an SLO needs at least one objective", "write - target: 0.999")
    threshold = sli is not None and isinstance(sli.indicator, Threshold)
    read = [_objective(sheet, node, index, threshold) for index, node in enumerate(nodes)] if sli else []
    objectives = tuple(objective for objective in read if objective is not None)
    policy = _policy(catalog, document, found, shipped, period_ms) if period_ms is not None else None
    if policy is not None:
        _check_ceilings(sheet, nodes, objectives, policy)
    description = text_or(sheet, found.get("description"), "description", "")
    if sli is None or service is None or period_ms is None or policy is None or len(objectives) != len(nodes):
        return None
    group_by, kind = _fan_out(document, sli)
    return Slo(
        name=document.name,
        title=document.title,
        description=description,
        service=service,
        period_ms=period_ms,
        indicator=sli.indicator,
        objectives=objectives,
        group_by=group_by,
        policy=policy,
        source_kind=kind,
        annotations=document.annotations,
        labels=document.labels,
    )
