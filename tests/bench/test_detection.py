"""Detection: pages matched by route, against the mathematics of the rule that asked for them.

What: made-up events and arrivals. Why: the ratio is a promise against somebody else's product, so a missing, early or
foreign page must not pass. It refuses to start anything.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench import detection
from bench.generator import Facts, Pace, Published, bad_shares
from bench.outcome import WrongOutcome
from sinks.fakes.receiver import Arrival

BEGUN_MS = 1_800_000_000_000
PACE = Pace(10_000, 60.0, detection.GROUPS, 20.0, 0.5, bad_share=0.0, ratios=(1.0,))
FACTS = Facts(BEGUN_MS, 0, 10_000.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def published() -> Published:
    """Each route a hundred times a second; all good, then from its moment on all bad."""
    tick, route = (grid.ravel() for grid in np.meshgrid(np.arange(6_000), np.arange(detection.GROUPS), indexing="ij"))
    good = tick / 100 < PACE.burn_lead_s + route * PACE.burn_gap_s
    return Published(BEGUN_MS + tick * 10, route, good)


def alert(route: int, at_ms: int, severity: str = "page", status: str = "firing") -> Arrival:
    told = {"alerts": [{"status": status, "labels": {"severity": severity, "route": f"/route/{route}"}}]}
    return Arrival(at_ms, "/alerts", {}, json.dumps(told).encode(), 200, True)


def after(late_ms: int) -> dict[int, int]:
    """A page for each route, so long after it goes bad."""
    return {route: round(BEGUN_MS + 20_000 + route * 500 + late_ms) for route in range(detection.GROUPS)}


def test_the_first_firing_page_of_each_route_counts():
    log = [alert(3, 5, status="resolved"), alert(3, 6, "ticket"), alert(3, 7), alert(3, 8), alert(4, 9)]
    assert detection.first_alerts(log) == {3: 7, 4: 9}


def test_overhead_is_beyond_the_mathematics_of_the_own_rule(published: Published):
    ours = detection.judged(detection.TOCSIN, PACE, FACTS, published, after(2_000))
    theirs = detection.judged("default", PACE, FACTS, published, after(2_000))
    assert {page.after_s for page in (*ours, *theirs)} == {2.0}
    for with_bound, without in zip(ours, theirs, strict=True):
        assert 1.0 < with_bound.overhead_s < without.overhead_s < 2.0


def test_a_missing_or_early_page_is_refused(published: Published):
    with pytest.raises(WrongOutcome, match="no page for route 7, 100% bad"):
        detection.judged("fastest", PACE, FACTS, published, {r: at for r, at in after(2_000).items() if r != 7})
    with pytest.raises(WrongOutcome, match="before it went bad"):
        detection.judged("fastest", PACE, FACTS, published, {**after(2_000), 7: BEGUN_MS})


def test_figures_are_ratios_of_medians():
    def pages(*overheads: float) -> list[detection.Page]:
        return [detection.Page(1.0, over + 1, over) for over in overheads]

    found = detection.summed([{"tocsin": pages(0.5, 1.0, 9.0), "default": pages(40.0), "fastest": pages(2.0)}])
    values = {figure.name: figure.value for figure in found}
    assert values["page_overhead_vs_prometheus_default_ratio"] == 40.0
    assert values["page_overhead_vs_prometheus_fastest_ratio"] == 2.0
    assert [figure.reached for figure in found if figure.goal] == [True, False]


def test_every_run_is_a_sample_of_its_own(monkeypatch: pytest.MonkeyPatch):
    told = iter([1.0, 2.0, 4.0])

    def run(rig: object, pace: object) -> dict[str, list[detection.Page]]:
        ours = next(told)
        return {
            name: [detection.Page(1.0, over, over)]
            for name, over in (("tocsin", ours), ("default", 40.0), ("fastest", 8.0))
        }

    monkeypatch.setattr(detection, "run", run)
    monkeypatch.setattr(detection.prometheus, "installed", lambda: True)
    found = {figure.name: figure.samples for figure in detection.figures(None, 3, lambda text: None, quick=True)}
    assert found["page_overhead_vs_prometheus_fastest_ratio"] == (8.0, 4.0, 2.0)
    assert found["detection_overhead_tocsin_s"] == (1.0, 2.0, 4.0)


def test_each_route_has_its_ratio_once_it_burns():
    pace = Pace(1, 1.0, 20, 10.0, 1.0, bad_share=0.0, ratios=(1.0, 0.15))
    shares = bad_shares(pace, np.array([0, 1, 2, 3]), np.array([11.0, 12.0, 11.0, 99.0]))
    assert shares.tolist() == [1.0, 0.15, 0.0, 0.15]
