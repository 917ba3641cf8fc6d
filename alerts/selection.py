"""Selection: which SLO groups a series feeds, and how.

What: `Selection` is called with a series definition and answers with its feeds. Why: the aggregate asks once for
each new series, so the answer is found by metric name and by compiled matchers. It refuses to count
groups or to see measurements.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from alerts.config import Config
from alerts.matcher import Matchers
from alerts.slo import Outcomes, Ratio, Selector, Slo, Threshold
from schemas.records import Feed, FeedMode, MeasureKind, SeriesDefinition, SloGroup

_THRESHOLD_MODES: Mapping[str, FeedMode] = {
    "lte": FeedMode.AT_MOST,
    "lt": FeedMode.BELOW,
    "gte": FeedMode.AT_LEAST,
    "gt": FeedMode.ABOVE,
}
_VALUED = (MeasureKind.GAUGE, MeasureKind.HISTOGRAM, MeasureKind.OUTCOME)


class Chosen:
    """A selector, compiled; its metric is looked up by the caller."""

    def __init__(self, selector: Selector) -> None:
        self._kind = selector.source_kind
        self._matchers = Matchers(selector.matchers)

    def __call__(self, definition: SeriesDefinition) -> bool:
        """Whether the series' kind of source and labels fit."""
        fits = self._kind is None or self._kind == definition.source_kind
        return fits and self._matchers(definition.labels)


@dataclasses.dataclass(frozen=True, slots=True)
class _Rule:
    slo: Slo
    total: Chosen
    part: Chosen | None  # counters: which of total is the good (or bad) part


def _rule(slo: Slo) -> tuple[str, _Rule]:
    indicator = slo.indicator
    if isinstance(indicator, Ratio):
        return indicator.total.metric, _Rule(slo, Chosen(indicator.total), Chosen(indicator.part))
    return indicator.series.metric, _Rule(slo, Chosen(indicator.series), None)


class Selection:
    """Callable: series definition to feeds."""

    def __init__(self, config: Config) -> None:
        self._rules: dict[str, list[_Rule]] = {}
        for slo in config.slos:
            metric, rule = _rule(slo)
            self._rules.setdefault(metric, []).append(rule)

    def __call__(self, definition: SeriesDefinition) -> Sequence[Feed]:
        """Feeds of one series, in the order of SLO names and objectives; empty for most series."""
        return [feed for rule in self._rules.get(definition.metric, ()) for feed in _feeds(rule, definition)]


def _feeds(rule: _Rule, definition: SeriesDefinition) -> list[Feed]:
    slo, indicator = rule.slo, rule.slo.indicator
    if slo.source_kind not in (None, definition.source_kind) or not rule.total(definition):
        return []
    labels = {name: definition.labels.get(name, "") for name in slo.group_by}
    groups = [SloGroup(slo.name, objective.index, labels) for objective in slo.objectives]
    if isinstance(indicator, Outcomes):
        return [Feed(group, FeedMode.OUTCOME) for group in groups] if definition.kind == MeasureKind.OUTCOME else []
    if isinstance(indicator, Threshold):
        if definition.kind not in _VALUED:
            return []
        return [
            Feed(group, _THRESHOLD_MODES[objective.operator or "lte"], objective.value)
            for group, objective in zip(groups, slo.objectives, strict=True)
        ]
    if definition.kind != MeasureKind.COUNTER or rule.part is None:
        return []
    good = rule.part(definition) == indicator.part_is_good
    return [Feed(group, FeedMode.GOOD_AND_TOTAL if good else FeedMode.TOTAL) for group in groups]
