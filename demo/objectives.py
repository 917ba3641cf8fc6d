"""Objectives: what the demo's SLO files ask for, as far as the oracle judges them.

What: name, target, period, metric and group labels of SLOs on outcomes, read from OpenSLO YAML; and which published
events belong to which group. Why: expected pages must come from the same files as the real ones, through other code.
It refuses SLOs of other shapes: they are left to the product's own tests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from demo.ideal import Expected, Life, lives, pages, tiers
from demo.wire import Identity

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

Events = tuple[NDArray[np.int64], NDArray[np.bool_]]
Group = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Objective:
    """An SLO on outcomes: the share of good events of a metric, in groups by label, over a rolling period."""

    slo: str
    target: float
    period_ms: int
    metric: str
    source_kind: str
    group_by: tuple[str, ...]

    def groups(self, outcomes: Mapping[Identity, Events]) -> dict[Group, Events]:
        """The events of each group, ordered by time."""
        parts: dict[Group, list[Events]] = {}
        for (metric, _, _, source_kind, labels), events in outcomes.items():
            if metric == self.metric and source_kind == self.source_kind:
                known = dict(labels)
                group = tuple(sorted((label, known[label]) for label in self.group_by if label in known))
                parts.setdefault(group, []).append(events)
        found: dict[Group, Events] = {}
        for group, events_of in parts.items():
            times = np.concatenate([times for times, _ in events_of])
            good = np.concatenate([good for _, good in events_of])
            order = np.argsort(times, kind="stable")
            found[group] = (times[order], good[order])
        return found

    def expected(self, outcomes: Mapping[Identity, Events]) -> list[Expected]:
        """Every page that the mathematics asks for, over all groups."""
        found: list[Expected] = []
        for group, (times, good) in sorted(self.groups(outcomes).items()):
            found += pages(times, good, self.target, tiers(self.period_ms), self.slo, group)
        return found

    def lives(self, outcomes: Mapping[Identity, Events]) -> list[Life]:
        """Every alert that the mathematics asks for, with its end, over all groups."""
        found: list[Life] = []
        for group, (times, good) in sorted(self.groups(outcomes).items()):
            found += lives(times, good, self.target, tiers(self.period_ms), self.slo, group)
        return found


def duration_ms(text: str) -> int:
    """`30d`, `1h`, `10m`, `20s` in ms."""
    return int(text[:-1]) * UNITS_MS[text[-1]]


def read(directory: Path) -> list[Objective]:
    """The SLOs on outcomes in a directory's YAML files."""
    documents: list[dict[str, Any]] = []
    for path in sorted(directory.glob("*.yaml")):
        documents += [document for document in YAML(typ="safe").load_all(path.read_text("utf-8")) if document]
    indicators = {d["metadata"]["name"]: d["spec"] for d in documents if d.get("kind") == "SLI"}
    found = [_objective(d, indicators) for d in documents if d.get("kind") == "SLO"]
    return [objective for objective in found if objective is not None]


def _objective(document: Mapping[str, Any], indicators: Mapping[str, Any]) -> Objective | None:
    spec = document["spec"]
    indicator = indicators[spec["indicatorRef"]] if "indicatorRef" in spec else spec["indicator"]["spec"]
    good = indicator.get("ratioMetric", {}).get("good", {}).get("metricSource", {}).get("spec", {})
    if good.get("outcome") != "good" or good.get("match") or len(spec["objectives"]) != 1:
        return None
    named = document["metadata"].get("annotations", {}).get("tocsin.dev/group-by", "")
    group_by = tuple(good.get("groupBy") or [label.strip() for label in named.split(",") if label.strip()])
    return Objective(
        document["metadata"]["name"],
        float(spec["objectives"][0]["target"]),
        duration_ms(spec["timeWindow"][0]["duration"]),
        good["metric"],
        good["kind"],
        group_by,
    )
