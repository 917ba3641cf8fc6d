"""Verdicts: the same samples through Prometheus' own rule engine and through ours.

What: scenarios of made-up traffic go to `promtool test rules` with the workbook's rules made of our SLO, and to our
evaluator pane by pane in event time; at every evaluation both say which severity fires. They may differ for one
evaluation interval, and for more only where a reason is written beside the scenario and in docs/verdicts.md. Where the
reason is a setting of the policy, the difference has to be gone without it. Why: whoever moves from Prometheus wants to be
paged for the same things. It refuses a difference that nobody has explained, and an explanation that explains nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from alerts.config import Config
from alerts.slo import SEVERITIES
from bench.prometheus_rules import Counters, rule_file, severities
from schemas.records import AlertTransition
from tests.alerts.simulate import START_MS, Simulation, config_of, rows, slo_text, times
from tests.foreign.promtool import needs_promtool, timelines

SAMPLE_S, EVERY_S, PANE_S, HOUR = 30, 60, 10, 3_600
CONFIG = config_of(slo_text())
COUNTERS = Counters("bad_total", "requests_total")
#: (requests, errors) of the pane that ends at a second; None: the service tells nothing.
Traffic = Callable[[int], tuple[int, int] | None]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Traffic; by severity how many evaluations the two are apart, (least, most); and the settings of our policy that are
    the reason, with the values at which they do nothing."""

    traffic: Traffic
    length_s: int
    apart: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    without: Mapping[str, float] = dataclasses.field(default_factory=dict)


def burst(ratio: float, begin_s: int, end_s: int, requests: int = 1_000) -> Traffic:
    """Steady traffic with an error ratio from one time to another."""
    return lambda at: (requests, round(requests * ratio) if begin_s < at <= end_s else 0)


def flapping(at: int) -> tuple[int, int]:
    """Every quarter of an hour five minutes of 10 %, from the third hour to the fifth."""
    return 1_000, 100 if 2 * HOUR < at <= 5 * HOUR and (at - 1) % 900 < 300 else 0


def scarce(at: int) -> tuple[int, int]:
    """Ten requests an hour, one of which fails."""
    return (1, int(at == 3 * HOUR)) if at % 360 == 0 else (0, 0)


def vanishing(silent_s: int) -> Traffic:
    """An outage; ten minutes into it the service falls silent for a while, and comes back healthy."""

    def traffic(at: int) -> tuple[int, int] | None:
        if 2 * HOUR + 600 < at <= 2 * HOUR + 600 + silent_s:
            return None
        return 1_000, 1_000 if 2 * HOUR < at <= 2 * HOUR + 600 else 0

    return traffic


LOW = {"page": (25, 35)}
ALL_OFF = {"z": 0.0, "coverage_share": 0.0, "slack_ms": 86_400_000}
SCENARIOS = {
    "full outage": Scenario(burst(1.0, 2 * HOUR, 2 * HOUR + 1_200), 5 * HOUR),
    "15 %": Scenario(burst(0.15, 2 * HOUR, 3 * HOUR), 6 * HOUR),
    "5 %": Scenario(burst(0.05, 2 * HOUR, 4 * HOUR), 8 * HOUR),
    "2 %": Scenario(burst(0.02, 2 * HOUR, 5 * HOUR), 9 * HOUR),
    "0.3 %": Scenario(burst(0.003, 2 * HOUR, 8 * HOUR), 12 * HOUR, {"ticket": (4, 7)}, {"z": 0.0}),
    "healthy": Scenario(burst(0.0005, 0, 6 * HOUR, 10_000), 6 * HOUR),
    "flapping": Scenario(flapping, 8 * HOUR),
    "low traffic": Scenario(scarce, 6 * HOUR, LOW, ALL_OFF),
    "silent for half an hour": Scenario(vanishing(1_800), 5 * HOUR, {"page": (4, 7)}, {"coverage_share": 0.0}),
    "silent for two hours": Scenario(vanishing(7_200), 7 * HOUR, {"page": (90, 100)}),
}


def ours(scenario: Scenario, without: Mapping[str, float] | None = None) -> dict[str, set[int]]:
    """The evaluations (s) at which each severity or a worse one fires with us; `without`: other values in the policy."""
    slos = [dataclasses.replace(slo, policy=dataclasses.replace(slo.policy, **without or {})) for slo in CONFIG.slos]
    simulation = Simulation(Config.of(slos))
    newest, log = 0, []
    for at in range(PANE_S, scenario.length_s + 1, PANE_S):
        told = scenario.traffic(at)
        if told is None:
            simulation.silence(START_MS + newest * 1000, (at - newest) * 1000)
        else:  # a pane without requests: other services move the time
            newest, (total, bad) = at, told
            row = [(simulation.group, START_MS + at * 1000 - 1, total - bad, total)] if total else []
            simulation.step(rows(*row), times({0: START_MS + at * 1000}, START_MS + at * 1000))
        if at % EVERY_S == 0:
            log.append((at, _severity(simulation.transitions)))
    ranks = [(at, SEVERITIES.index(severity)) for at, severity in log]
    return {severity: {at for at, rank in ranks if rank >= SEVERITIES.index(severity)} for severity in SEVERITIES[1:]}


def _severity(transitions: list[AlertTransition]) -> str:
    return transitions[-1].severity if transitions and transitions[-1].state != "resolved" else "none"


def theirs(scenario: Scenario, folder: Path) -> dict[str, set[int]]:
    """The same with Prometheus."""
    (slo,) = CONFIG.slos
    bad, total, errors, requests = [], [], 0, 0
    for at in range(0, scenario.length_s + 1, PANE_S):
        told = scenario.traffic(at) if at else (0, 0)
        requests, errors = requests + (told[0] if told else 0), errors + (told[1] if told else 0)
        if at % SAMPLE_S == 0:
            bad.append(errors if told else None)
            total.append(requests if told else None)
    names = {severity: f"{slo.name}-{severity}" for severity in severities(slo.policy)}
    series = {COUNTERS.bad: bad, COUNTERS.total: total}
    found = timelines(folder, rule_file(slo, COUNTERS), list(names.values()), series, SAMPLE_S, EVERY_S)
    page, ticket = found[names["page"]], found[names["ticket"]]
    return {"ticket": page | ticket, "page": page}


def apart(one: set[int], other: set[int]) -> list[int]:
    """Evaluations at which one fires and the other does not, not within one interval either."""
    near = [{at + shift for at in found for shift in (-EVERY_S, 0, EVERY_S)} for found in (one, other)]
    return sorted((one - near[1]) | (other - near[0]))


@needs_promtool
@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_timelines_agree_or_the_difference_is_explained(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    here, there = ours(scenario), theirs(scenario, tmp_path)
    for severity in SEVERITIES[1:]:
        least, most = scenario.apart.get(severity, (0, 0))
        found = apart(here[severity], there[severity])
        assert least <= len(found) <= most, told(name, severity, here, there)
    if scenario.without:
        same = ours(scenario, scenario.without)
        for severity in SEVERITIES[1:]:
            assert not apart(same[severity], there[severity]), "not the reason: " + told(name, severity, same, there)


def told(name: str, severity: str, here: Mapping[str, set[int]], there: Mapping[str, set[int]]) -> str:
    """Both timelines, for who has to explain a difference."""
    count = len(apart(here[severity], there[severity]))
    return f"{name}, {severity}: {count} apart; ours {spans(here[severity])}, theirs {spans(there[severity])}"


def spans(times_s: set[int]) -> list[tuple[int, int]]:
    """Unbroken runs of evaluations, as (first, last) seconds."""
    found: list[tuple[int, int]] = []
    for at in sorted(times_s):
        if found and at - found[-1][1] == EVERY_S:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


def test_a_shift_of_two_intervals_is_seen() -> None:
    assert not apart({60, 120}, {120, 180})
    assert apart({60, 120}, {180, 240}) == [60, 240]
