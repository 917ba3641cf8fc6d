"""A partials log without Kafka: steady traffic into an Evaluator, step by step, in event time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alerts.config import Config, load
from alerts.evaluate import Evaluator
from alerts.history import NEVER
from alerts.limits import FIXED_ONE, PANE_MS
from schemas.records import AlertTransition, SloGroup, SloStatus

START_MS = 1_767_225_600_000  # 2026-01-01, a whole hour
LATENESS_MS = (5_000, 5_000, 300_000, 30_000)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Deltas of one step."""

    group: NDArray[np.uint64]
    pane_ms: NDArray[np.int64]
    good: NDArray[np.int64]
    total: NDArray[np.int64]
    groups: Sequence[SloGroup]

    def definition(self, row: int) -> bytes:
        return self.groups[row].canonical()


@dataclasses.dataclass(frozen=True)
class Times:
    """The clock of one step."""

    watermarks: Sequence[int]
    max_event_ms: Sequence[int]
    now_ms: int
    reached_ms: NDArray[np.int64]
    source: int = 0


def rows(*entries: tuple[SloGroup, int, float, float]) -> Rows:
    """Deltas of (group, time in ms, good, total), in measurements."""
    return Rows(
        np.array([entry[0].id for entry in entries], np.uint64),
        np.array([entry[1] // PANE_MS * PANE_MS for entry in entries], np.int64),
        np.array([round(entry[2] * FIXED_ONE) for entry in entries], np.int64),
        np.array([round(entry[3] * FIXED_ONE) for entry in entries], np.int64),
        [entry[0] for entry in entries],
    )


def times(event_ms: Mapping[int, int], now_ms: int, idle_ms: Mapping[int, int] | None = None) -> Times:
    """A clock from the newest event time by kind; `idle_ms` says how long a kind has been idle."""
    newest = [event_ms.get(kind, NEVER) for kind in range(4)]
    idle = idle_ms or {}
    marks = [at + idle.get(kind, 0) - LATENESS_MS[kind] if at > NEVER else NEVER for kind, at in enumerate(newest)]
    reached = [max(at, mark + late) for at, mark, late in zip(newest, marks, LATENESS_MS, strict=True)]
    return Times(marks, newest, now_ms, np.array([reached], np.int64))


def slo_text(
    name: str = "web",
    target: str = "0.999",
    period: str = "30d",
    kind: str = "web",
    group_by: str = "[]",
    extra: str = "",
) -> str:
    """An SLO on outcomes as an OpenSLO document."""
    return f"""
apiVersion: openslo/v1
kind: SLO
metadata: {{name: {name}, displayName: Requests succeed{extra}}}
spec:
  service: shop
  timeWindow: [{{duration: {period}, isRolling: true}}]
  budgetingMethod: Occurrences
  objectives: [{{target: {target}}}]
  indicator:
    spec:
      ratioMetric:
        good: {{metricSource: {{spec: {{metric: http.request, outcome: good, kind: {kind}, groupBy: {group_by}}}}}}}
        total: {{metricSource: {{spec: {{metric: http.request, kind: {kind}, groupBy: {group_by}}}}}}}
"""


def config_of(*texts: str) -> Config:
    """A configuration, which has to be good."""
    config, problems = load({"test.yaml": "\n---\n".join(texts)})
    assert config is not None, [str(problem) for problem in problems]
    return config


def uneven(deltas: Rows, source: int, reached_ms: Sequence[int], now_ms: int) -> tuple[Rows, Times]:
    """A record of one of several source partitions of web services, each of which has reached its own event time."""
    newest = max(reached_ms)
    clock = times({0: newest}, now_ms)
    reached = np.full((len(reached_ms), 4), NEVER, np.int64)
    reached[:, 0] = reached_ms
    return deltas, dataclasses.replace(clock, reached_ms=reached, source=source)


class Simulation:
    """Drives an evaluator; event time is the only time. Collects what it says."""

    def __init__(self, config: Config, kind: int = 0, group: SloGroup | None = None) -> None:
        self.config, self.kind = config, kind
        self.evaluator = Evaluator(config, partition=0)
        self.group = group or SloGroup(config.slos[0].name, 0, {})
        self.offset = -1
        self.outputs: list[AlertTransition | SloStatus] = []

    @property
    def transitions(self) -> list[AlertTransition]:
        return [output for output in self.outputs if isinstance(output, AlertTransition)]

    @property
    def statuses(self) -> list[SloStatus]:
        return [output for output in self.outputs if isinstance(output, SloStatus)]

    def step(self, deltas: Rows, clock: Times) -> list[AlertTransition | SloStatus]:
        self.offset += 1
        found = self.evaluator.apply(deltas, clock, self.offset, {0: self.offset * 10})
        self.outputs += found
        return found

    def at(self, time_ms: int, good: float, total: float) -> list[AlertTransition | SloStatus]:
        """Traffic of the slice that ends at `time_ms`."""
        return self.step(rows((self.group, time_ms - 1, good, total)), times({self.kind: time_ms}, time_ms + 50))

    def silence(self, event_ms: int, idle_ms: int) -> list[AlertTransition | SloStatus]:
        """A heartbeat: nothing came for `idle_ms` after `event_ms`."""
        return self.step(rows(), times({self.kind: event_ms}, event_ms + idle_ms + 50, {self.kind: idle_ms}))

    def run(
        self,
        start_ms: int,
        end_ms: int,
        every_ms: int,
        ratio: float | Callable[[int], float],
        per_second: float = 100.0,
    ) -> None:
        """Steady traffic with an error ratio, in slices."""
        for time_ms in range(start_ms + every_ms, end_ms + 1, every_ms):
            total = per_second * every_ms / 1000
            bad = total * (ratio(time_ms) if callable(ratio) else ratio)
            self.at(time_ms, total - bad, total)


def fired_after(transitions: Iterable[AlertTransition], since_ms: int, severity: str, long_ms: int) -> float | None:
    """Seconds from `since_ms` to the first transition in which the rule with that long window is exceeded."""
    for transition in transitions:
        for reading in transition.burn:
            if reading.exceeded and reading.severity == severity and reading.long_ms == long_ms:
                return (transition.event_ms - since_ms) / 1000
    return None


def only_rule(config: Config, long_ms: int) -> Config:
    """The same SLOs with one rule of the policy, by its long window."""
    slos = []
    for slo in config.slos:
        tiers = tuple(tier for tier in slo.policy.tiers if tier.long_ms == long_ms)
        slos.append(dataclasses.replace(slo, policy=dataclasses.replace(slo.policy, tiers=tiers)))
    return Config.of(slos)


def warm(simulation: Simulation, until_ms: int, length_ms: int, per_second: float, ratio: float = 0.0) -> None:
    """Steady traffic up to `until_ms`, ten minutes a step, one row a pane."""
    block = 600_000
    for begin in range(until_ms - -(-length_ms // block) * block, until_ms, block):
        total = per_second * PANE_MS / 1000
        panes = [(simulation.group, begin + at, total * (1 - ratio), total) for at in range(0, block, PANE_MS)]
        simulation.step(rows(*panes), times({simulation.kind: begin + block}, begin + block))
