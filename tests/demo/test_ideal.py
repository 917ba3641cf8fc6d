"""Ideal: agrees with the closed form, detection time = (1 - target) / error ratio x long window x factor."""

from __future__ import annotations

import numpy as np
import pytest

from demo.ideal import Tier, firing, latched, lives, pages, tiers, wilson_low
from tests.alerts.simulate import START_MS, Simulation, config_of, slo_text

DAY_MS = 86_400_000
RATE = 100  # events a second


def traffic(seconds: int, bad_from: int, bad_to: int, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Steady traffic; between two seconds a share is bad, spread evenly."""
    number = np.arange(seconds * RATE)
    times = (number * 1000 // RATE).astype(np.int64)
    hit = np.floor((number + 1) * ratio) > np.floor(number * ratio)
    return times, ~(hit & (times >= bad_from * 1000) & (times < bad_to * 1000))


def test_the_tiers_scale_with_the_period() -> None:
    assert [(t.factor, t.long_ms, t.short_ms) for t in tiers(30 * DAY_MS)] == [
        (14.4, 3_600_000, 300_000), (6.0, 21_600_000, 1_800_000), (3.0, 86_400_000, 7_200_000),
        (1.0, 259_200_000, 21_600_000),
    ]  # fmt: skip
    assert [(t.long_ms, t.short_ms) for t in tiers(DAY_MS)] == [
        (120_000, 10_000), (720_000, 60_000), (2_880_000, 240_000), (8_640_000, 720_000),
    ]  # fmt: skip


def seconds_to_fire(factor: float, window_s: int, ratio: float) -> float:
    """Smallest number of bad events whose Wilson bound passes the threshold in a full window, at the pace of the burn."""
    total = np.full(window_s * RATE, float(window_s * RATE))
    bad = np.arange(window_s * RATE, dtype=float)
    return float(np.flatnonzero(wilson_low(bad, total) > factor * 0.01)[0]) / (RATE * ratio)


@pytest.mark.parametrize("ratio", [1.0, 0.8, 0.5, 0.3])
def test_detection_takes_what_the_closed_form_says(ratio: float) -> None:
    times, good = traffic(1_000, 800, 1_000, ratio)
    page = pages(times, good, 0.99, tiers(DAY_MS))[0]
    without_gate = 0.01 / ratio * 120 * 14.4
    assert page.burn_started_ms == pytest.approx(800_000, abs=50)
    assert page.ideal_seconds == pytest.approx(seconds_to_fire(14.4, 120, ratio), abs=0.1)
    assert without_gate < page.ideal_seconds < without_gate * 1.06


def test_without_the_bound_it_is_the_workbooks_own_time() -> None:
    times, good = traffic(1_000, 800, 1_000, 0.5)
    assert pages(times, good, 0.99, tiers(DAY_MS), z=0.0)[0].ideal_seconds == pytest.approx(
        0.01 / 0.5 * 120 * 14.4, abs=0.1
    )


def test_a_page_clears_with_its_short_window() -> None:
    times, good = traffic(1_000, 800, 825, 1.0)
    (page,) = pages(times, good, 0.99, tiers(DAY_MS))
    assert page.clears_ms is not None
    assert (page.clears_ms - 825_000) / 1000 == pytest.approx(10 * (1 - 0.144), abs=0.1)


def test_the_slow_tier_pages_for_a_slow_burn() -> None:
    times, good = traffic(1_500, 800, 1_500, 0.10)
    (page,) = pages(times, good, 0.99, tiers(DAY_MS))
    assert page.ideal_seconds == pytest.approx(seconds_to_fire(6, 720, 0.10), abs=1)


def test_below_every_page_threshold_nothing_is_expected() -> None:
    times, good = traffic(1_500, 0, 1_500, 0.05)
    assert pages(times, good, 0.99, tiers(DAY_MS)) == []


def test_wilson_agrees_with_known_figures() -> None:
    bad, total = np.array([1.0, 2.0, 2.0, 5.0, 20.0, 30.0]), np.array([10.0, 10.0, 120.0, 120.0, 1000.0, 1000.0])
    low = wilson_low(bad, total)
    assert low[0] == pytest.approx(0.0139, abs=2e-4)
    assert low[1] == pytest.approx(0.046, abs=1e-3)
    assert (low > 0.0144).tolist() == [False, True, False, True, False, True]
    assert wilson_low(np.zeros(1), np.zeros(1)).tolist() == [0.0]


def test_one_failure_in_little_traffic_does_not_page() -> None:
    times = np.arange(0, 120_000, 12_000, dtype=np.int64)
    good = np.ones(len(times), bool)
    good[-1] = False
    tier = Tier("page", 1.44, 120_000, 120_000)
    assert not firing(times, good, 0.99, tier).any()
    good[-2:] = False
    assert firing(times, good, 0.99, tier).any()


def test_two_burns_are_two_pages() -> None:
    first = traffic(1_700, 800, 825, 1.0)
    second = traffic(1_700, 1_500, 1_525, 1.0)
    found = pages(first[0], first[1] & second[1], 0.99, tiers(DAY_MS))
    assert [round(page.burn_started_ms / 1000) for page in found] == [800, 1_500]


def test_an_alert_rises_from_ticket_to_page_and_ends_when_its_slowest_window_is_below() -> None:
    times, good = traffic(2_400, 1_500, 1_560, 1.0)
    (life,) = lives(times, good, 0.99, tiers(DAY_MS))
    severities = [severity for _, severity in life.steps]
    assert severities[0] in ("ticket", "page")
    assert severities[-1] == "none"
    assert life.paged_ms == pages(times, good, 0.99, tiers(DAY_MS))[0].fires_ms
    # the last tier to burn is 3x over 48 minutes and 240 s, or 1x over 144 minutes and 720 s: bad share in 240 s <= 3 %
    assert life.resolved_ms is not None
    assert (life.resolved_ms - 1_560_000) / 1000 == pytest.approx(720 * (1 - 0.01), abs=1.5)


def test_a_slow_burn_is_a_ticket_and_no_page() -> None:
    times, good = traffic(5_000, 1_000, 4_000, 0.04)
    (life,) = lives(times, good, 0.99, tiers(DAY_MS))
    assert {severity for _, severity in life.steps} == {"ticket", "none"}
    assert life.paged_ms is None
    assert pages(times, good, 0.99, tiers(DAY_MS)) == []


def test_what_still_burns_has_no_end_and_a_good_service_has_no_life() -> None:
    times, good = traffic(900, 800, 900, 1.0)
    (life,) = lives(times, good, 0.99, tiers(DAY_MS))
    assert life.resolved_ms is None
    assert life.steps[-1][1] == "page"
    assert lives(times, np.ones(len(times), bool), 0.99, tiers(DAY_MS)) == []
    assert lives(times[:0], good[:0], 0.99, tiers(DAY_MS)) == []


def test_silence_ends_nothing_a_short_window_that_was_hardly_measured_clears_no_tier() -> None:
    tier = Tier("ticket", 3.0, 240_000, 120_000)
    times, good = traffic(240, 200, 240, 0.5)
    assert latched(times, good, 0.99, tier)[-1]
    sparse = np.array([times[-1] + 130_000])  # one good event in 120 s; the 240 s before were measured more densely
    silent = latched(np.append(times, sparse), np.append(good, [True]), 0.99, tier)
    assert silent[-1]
    steady = times[-1] + 20_000 + np.arange(0, 120_000, 10_000)
    assert not latched(np.append(times, steady), np.append(good, np.ones(len(steady), bool)), 0.99, tier)[-1]


@pytest.mark.parametrize(
    "burns",
    [[(1_500, 1_560, 1.0)], [(300, 1_200, 0.04)], [(1_000, 1_900, 0.15)], [(1_500, 1_520, 1.0), (3_000, 3_060, 0.5)]],
    ids=["outage", "ticket", "slow", "twice"],
)
def test_the_platforms_own_evaluator_comes_to_the_same_severities_in_the_same_second_or_two(
    burns: list[tuple[int, int, float]],
) -> None:
    """Two programs that share no code: one slides from event to event, the other has buckets and slices of a second."""
    seconds = burns[-1][1] + 1_000
    times, good = traffic(seconds, 0, 0, 0.0)
    for begin, end, ratio in burns:
        good &= traffic(seconds, begin, end, ratio)[1]
    simulation = Simulation(config_of(slo_text(target="0.99", period="1d")))
    simulation.run(
        START_MS, START_MS + seconds * 1000, 1_000,
        lambda at: next((ratio for begin, end, ratio in burns if begin < (at - START_MS) / 1000 <= end), 0.0),
    )  # fmt: skip
    found = [(one.event_ms - START_MS, one.severity) for one in simulation.transitions]
    expected = [step for life in lives(times, good, 0.99, tiers(DAY_MS)) for step in life.steps]
    assert [severity for _, severity in found] == [severity for _, severity in expected]
    assert [at for at, _ in found] == pytest.approx([at for at, _ in expected], abs=2_000)
    assert expected[-1][1] == "none"
