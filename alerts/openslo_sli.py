"""OpenSLO indicators: from `ratioMetric` and `thresholdMetric` to what series count as good and total.

What: reads an SLI's spec whose metric sources have the type `tocsin`:

    metricSource:
      type: tocsin
      spec:
        metric: checkout.request     # the measurements' metric
        match: ["route=~/cart.*"]    # or {route: /cart}; operators =, !=, =~, !~
        outcome: good                # good or bad: the metric's measurements are outcomes
        groupBy: [service, route]    # one group a combination of these labels
        kind: web                    # web, desktop, vehicle or other: whose clock is the SLO's clock

Why here: metric sources are the one part of OpenSLO that each product defines. It refuses raw ratios, queries in
other languages, and a good (or bad) part that is not plainly within its total.
"""

from __future__ import annotations

import dataclasses

from alerts import limits
from alerts.fields import flag_of, section, text_of, texts_of, word_of
from alerts.matcher import read as read_matchers
from alerts.openslo import Document
from alerts.problem import Mark, Sheet
from alerts.slo import Indicator, Outcomes, Ratio, Selector, Threshold
from alerts.yamltree import Fields, Node

KINDS = ("web", "desktop", "vehicle", "other")
TYPE = "tocsin"


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One metric source as written."""

    series: Selector
    outcome: str  # "", "good", "bad"
    group_by: tuple[str, ...]
    mark: Mark


@dataclasses.dataclass(frozen=True, slots=True)
class Sli:
    """An indicator and the labels by which its metric sources ask to fan out."""

    indicator: Indicator
    group_by: tuple[str, ...]
    source_kind: int | None


def kind_of(sheet: Sheet, node: Node | None) -> int | None:
    """Index of a source kind."""
    word = word_of(sheet, node, "kind", KINDS)
    return None if word is None else KINDS.index(word)


def _source(sheet: Sheet, node: Node, what: str) -> Source | None:
    outer = section(sheet, node, what, ("metricSource",))
    if outer is None or "metricSource" not in outer:
        return None
    source = section(sheet, outer["metricSource"], "metricSource", ("spec",), ("type", "metricSourceRef"))
    if source is None or "spec" not in source:
        return None
    if "type" in source and word_of(sheet, source["type"], "metricSource.type", (TYPE,)) is None:
        return None
    optional = ("match", "outcome", "groupBy", "kind")
    spec = section(sheet, source["spec"], "metricSource.spec", ("metric",), optional)
    metric = text_of(sheet, spec.get("metric"), "metric") if spec else None
    if spec is None or metric is None:
        return None
    matchers = read_matchers(sheet, spec.get("match"), "match")
    outcome = word_of(sheet, spec.get("outcome"), "outcome", ("good", "bad")) or ""
    groups = texts_of(sheet, spec.get("groupBy"), "groupBy", limits.GROUP_BY_MAX)
    series = Selector(metric, matchers, kind_of(sheet, spec.get("kind")))
    return Source(series, outcome, groups, spec["metric"].mark)


def _ratio(sheet: Sheet, node: Node) -> Sli | None:
    if isinstance(node, Fields) and node.get("raw") is not None:
        sheet.wrong(node.mark, "raw ratios are not evaluated: they lose the counts", "give good or bad, and total")
        return None
    found = section(sheet, node, "ratioMetric", ("total",), ("good", "bad", "counter"))
    if found is None:
        return None
    flag_of(sheet, found.get("counter"), "counter")
    if ("good" in found) == ("bad" in found):
        sheet.wrong(node.mark, "ratioMetric needs either good or bad beside total", "keep one of the two")
        return None
    part_is_good = "good" in found
    part = _source(sheet, found["good" if part_is_good else "bad"], "good" if part_is_good else "bad")
    total = _source(sheet, found["total"], "total") if "total" in found else None
    if part is None or total is None:
        return None
    if part.series.metric != total.series.metric or not set(total.series.matchers) <= set(part.series.matchers):
        hint = "use one metric, and repeat total's matchers before adding the part's own"
        sheet.wrong(part.mark, f"{'good' if part_is_good else 'bad'} is not plainly within total", hint)
        return None
    if part.series.source_kind != total.series.source_kind or (part.group_by and part.group_by != total.group_by):
        sheet.wrong(part.mark, "kind and groupBy differ between the two metric sources", "write them in total")
        return None
    if not part.outcome and not total.outcome:
        return Sli(Ratio(part.series, part_is_good, total.series), total.group_by, total.series.source_kind)
    if total.outcome or part.outcome != ("good" if part_is_good else "bad") or part.series != total.series:
        hint = "for outcomes: same metric and matchers, `outcome: good` in good (or bad in bad), none in total"
        sheet.wrong(part.mark, "outcome does not fit its place", hint)
        return None
    return Sli(Outcomes(total.series), total.group_by, total.series.source_kind)


def _threshold(sheet: Sheet, node: Node) -> Sli | None:
    source = _source(sheet, node, "thresholdMetric")
    if source is None:
        return None
    if source.outcome:
        sheet.wrong(source.mark, "a threshold reads values: `outcome` has no place here", "use ratioMetric")
        return None
    return Sli(Threshold(source.series), source.group_by, source.series.source_kind)


def read_sli(document: Document) -> Sli | None:
    """The indicator of an SLI document; None when problems were noted on its sheet."""
    sheet = document.sheet
    found = section(sheet, document.spec, "spec of SLI", (), ("description", "ratioMetric", "thresholdMetric"))
    if found is None:
        return None
    text_of(sheet, found.get("description"), "description")
    if ("ratioMetric" in found) == ("thresholdMetric" in found):
        sheet.wrong(document.spec.mark, "an SLI needs either ratioMetric or thresholdMetric")
        return None
    if "ratioMetric" in found:
        return _ratio(sheet, found["ratioMetric"])
    return _threshold(sheet, found["thresholdMetric"])
