"""Objectives: the demo's SLO files, read by other code than the product's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo.objectives import Objective, duration_ms, read
from demo.wire import Identity

DAY_MS = 86_400_000
SLOS = Path(__file__).parents[2] / "examples" / "slos"


def test_the_demo_judges_web_and_vehicles() -> None:
    assert {objective.slo: objective for objective in read(SLOS)} == {
        "web-availability": Objective("web-availability", 0.99, DAY_MS, "http.request", "web", ("service",)),
        "vehicle-signals-by-version": Objective(
            "vehicle-signals-by-version", 0.99, DAY_MS, "vehicle.signal", "vehicle", ("version",)
        ),
        "vehicle-signals-by-fleet": Objective(
            "vehicle-signals-by-fleet", 0.99, DAY_MS, "vehicle.signal", "vehicle", ("region",)
        ),
    }


@pytest.mark.parametrize(("text", "ms"), [("20s", 20_000), ("10m", 600_000), ("1h", 3_600_000), ("30d", 30 * DAY_MS)])
def test_durations(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


def test_groups_join_series_in_time() -> None:
    def identity(service: str, status: str) -> Identity:
        return ("http.request", "outcome", "By", "web", (("service", service), ("status", status)))

    times = np.array([1, 3], np.int64)
    outcomes = {
        identity("shop", "2xx"): (times, np.array([True, True])),
        identity("shop", "5xx"): (times - 1, np.array([False, False])),
        identity("assets", "2xx"): (times, np.array([True, True])),
    }
    groups = Objective("web", 0.99, DAY_MS, "http.request", "web", ("service",)).groups(outcomes)
    assert sorted(groups) == [(("service", "assets"),), (("service", "shop"),)]
    found_times, good = groups[("service", "shop"),]
    assert found_times.tolist() == [0, 1, 2, 3]
    assert good.tolist() == [False, True, False, True]


def test_a_group_of_several_labels_is_named_as_alerts_name_it() -> None:
    labels = (("host", "h1"), ("service", "shop"))
    outcomes = {("http.request", "outcome", "1", "web", labels): (np.array([1_000]), np.array([True]))}
    groups = Objective("hosts", 0.99, DAY_MS, "http.request", "web", ("service", "host")).groups(outcomes)
    assert list(groups) == [labels]
