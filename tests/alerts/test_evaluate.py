"""Evaluation, on time lines. Event time runs to the right; ■ bad, · good, nothing: no data."""

from __future__ import annotations

import dataclasses

import pytest

from alerts.evaluate import Evaluator
from alerts.limits import Limits
from schemas.records import SloGroup
from tests.alerts.simulate import START_MS, Simulation, config_of, fired_after, only_rule, rows, slo_text, times, warm

HOUR, MINUTE, SECOND = 3_600_000, 60_000, 1_000
TRAFFIC = 100_000.0  # measurements a second: so many that the Wilson bound adds nothing

IDEAL = [  # error ratio, long window, severity, seconds; SRE workbook: (1 - S) / ratio x window x factor, S = 99.9 %
    (1.0, HOUR, "page", 51.84),
    (1.0, 6 * HOUR, "page", 129.6),
    (1.0, 24 * HOUR, "ticket", 259.2),
    (1.0, 72 * HOUR, "ticket", 259.2),
    (0.15, HOUR, "page", 345.6),
    (0.15, 6 * HOUR, "page", 864.0),
    (0.15, 24 * HOUR, "ticket", 1728.0),
    (0.05, HOUR, "page", 1036.8),
    (0.05, 6 * HOUR, "page", 2592.0),
    (0.02, HOUR, "page", 2592.0),
    (0.02, 6 * HOUR, "page", 6480.0),
    (0.01, 6 * HOUR, "page", 12960.0),
]


@pytest.mark.parametrize(("ratio", "long_ms", "severity", "ideal_s"), IDEAL)
def test_each_rule_fires_at_its_ideal_time(ratio: float, long_ms: int, severity: str, ideal_s: float) -> None:
    """
    traffic  ·················■■■■■■■■■■■■■■■■
    rule                      |----------┃ fires after (1 - S) / ratio x window x factor
    """
    simulation = Simulation(only_rule(config_of(slo_text()), long_ms))
    warm(simulation, START_MS, long_ms + HOUR, TRAFFIC)
    step_ms = max(100, int(ideal_s) // 1000 * SECOND)
    simulation.run(START_MS, START_MS + int(ideal_s * 1.02) * SECOND, step_ms, ratio, TRAFFIC)
    fired = fired_after(simulation.transitions, START_MS, severity, long_ms)
    assert fired is not None
    assert ideal_s - 0.1 <= fired <= ideal_s * 1.005 + step_ms / SECOND


@pytest.mark.parametrize(
    ("target", "ideal_s"), [("0.99", 518.4), ("0.995", 259.2), ("0.9995", 25.92), ("0.9999", 5.184)]
)
def test_a_full_outage_pages_sooner_the_more_nines_are_promised(target: str, ideal_s: float) -> None:
    simulation = Simulation(only_rule(config_of(slo_text(target=target)), HOUR))
    warm(simulation, START_MS, 2 * HOUR, TRAFFIC)
    simulation.run(START_MS, START_MS + int(ideal_s * 1.1 + 1) * SECOND, 100, 1.0, TRAFFIC)
    fired = fired_after(simulation.transitions, START_MS, "page", HOUR)
    assert fired is not None
    assert ideal_s - 0.1 <= fired <= ideal_s + 0.3


@pytest.mark.parametrize(("ratio", "long_ms"), [(0.01, HOUR), (0.003, 6 * HOUR), (0.0029, 24 * HOUR)])
def test_a_burn_below_the_factor_never_fires(ratio: float, long_ms: int) -> None:
    simulation = Simulation(only_rule(config_of(slo_text()), long_ms))
    warm(simulation, START_MS, 2 * long_ms, TRAFFIC, ratio)
    assert simulation.transitions == []


def test_the_page_resets_five_minutes_after_the_outage() -> None:
    """
    traffic  ········■■■■■■■■■■············
    5m burn                   |-------┃ 14.4 x 0.1 % of 5 m are left: 300 s - 4.3 s
    """
    simulation = Simulation(only_rule(config_of(slo_text()), HOUR))
    warm(simulation, START_MS, 2 * HOUR, TRAFFIC)
    end = START_MS + 10 * MINUTE
    simulation.run(START_MS, end, 1000, 1.0, TRAFFIC)
    simulation.run(end, end + 6 * MINUTE, 100, 0.0, TRAFFIC)
    raised, resolved = simulation.transitions
    assert (raised.state, resolved.state) == ("firing", "resolved")
    assert 295.4 <= (resolved.event_ms - end) / SECOND <= 296.2
    assert resolved.alert_id == raised.alert_id


def test_severity_rises_and_falls_within_one_alert() -> None:
    """
    traffic   ········ 0.5 % ■ ... 100 % ■■■ ········
    severity  ---------------ticket----page----ticket
    """
    simulation = Simulation(config_of(slo_text()))
    warm(simulation, START_MS, 80 * HOUR, TRAFFIC)
    middle, end = START_MS + 15 * HOUR, START_MS + 15 * HOUR + 5 * MINUTE
    warm(simulation, middle, 15 * HOUR, TRAFFIC, 0.005)
    simulation.run(middle, end, 10_000, 1.0, TRAFFIC)
    simulation.run(end, end + 60 * MINUTE, 10_000, 0.0, TRAFFIC)
    told = [
        (transition.state, transition.previous_severity, transition.severity) for transition in simulation.transitions
    ]
    assert told == [("firing", "none", "ticket"), ("firing", "ticket", "page"), ("firing", "page", "ticket")]
    assert len({transition.alert_id for transition in simulation.transitions}) == 1
    assert [transition.number for transition in simulation.transitions] == [1, 2, 3]


def test_missing_data_freezes_a_page_and_never_resolves_it() -> None:
    """
    group    ······■■■■■■
    others   ····························
    page           |firing---frozen------
    """
    simulation = Simulation(config_of(slo_text(group_by="[region]")), group=SloGroup("web", 0, {"region": "west"}))
    other = SloGroup("web", 0, {"region": "east"})
    warm(simulation, START_MS, 2 * HOUR, 100.0)
    simulation.run(START_MS, START_MS + 3 * MINUTE, 1000, 1.0)
    assert simulation.transitions[-1].severity == "page"
    silent = START_MS + 3 * MINUTE
    for time_ms in range(silent, silent + 12 * HOUR, 30_000):
        simulation.step(rows((other, time_ms - 1, 10, 10)), times({0: time_ms}, time_ms))
    last = simulation.transitions[-1]
    assert (last.state, last.severity, last.frozen) == ("firing", "page", True)
    assert "resolved" not in {transition.state for transition in simulation.transitions}
    assert 60 <= (simulation.transitions[-1].detected_ms - silent) / SECOND <= 100
    simulation.run(silent + 12 * HOUR, silent + 13 * HOUR, 10_000, 0.0)
    assert [(t.state, t.frozen) for t in simulation.transitions][-2:] == [("firing", False), ("resolved", False)]


def test_an_offline_fleet_becomes_unmeasured_and_does_not_page() -> None:
    """
    fleet    ·············
    status   healthy------|--5 m lateness + 60 s--|unmeasured
    """
    group = SloGroup("fleet", 0, {})
    simulation = Simulation(config_of(slo_text(name="fleet", kind="vehicle", period="1d", target="0.99")), 2, group)
    warm(simulation, START_MS, HOUR, 10.0)
    assert simulation.statuses[-1].state == "healthy"
    for idle_ms in range(1000, 360_000, 1000):
        simulation.silence(START_MS, idle_ms)
    assert simulation.statuses[-1].state == "healthy"
    simulation.silence(START_MS, 361_000)
    assert simulation.statuses[-1].state == "unmeasured"
    assert simulation.transitions == []
    simulation.run(START_MS + HOUR, START_MS + HOUR + MINUTE, 1000, 0.0)
    assert simulation.statuses[-1].state == "healthy"


def test_a_lagging_pipeline_is_not_a_silent_fleet() -> None:
    """Wall time runs ahead of the data, but the watermark does not: nothing is unmeasured."""
    simulation = Simulation(config_of(slo_text()))
    simulation.at(START_MS, 10, 10)
    for late in range(100):
        simulation.step(rows(), times({0: START_MS}, START_MS + late * MINUTE))
    assert {status.state for status in simulation.statuses} == {"healthy"}


def test_a_late_record_corrects_the_window_it_belongs_to() -> None:
    """
    arrives  ·····|late ■ of 10 m ago
    1h       grows by it; 5m does not
    """
    simulation = Simulation(config_of(slo_text()))
    warm(simulation, START_MS, HOUR, 100.0)
    simulation.step(
        rows((simulation.group, START_MS - 10 * MINUTE, 0, 30)), times({0: START_MS + 6000}, START_MS + 6000)
    )
    page = simulation.statuses[-1].burn[0]
    assert page.long_total - page.long_good == pytest.approx(30)
    assert page.short_total == page.short_good


def test_two_failures_of_ten_page_but_one_does_not() -> None:
    """Ten requests in an hour. One failure is 100x burn, and proves nothing; two do (Wilson, z = 2.326)."""
    for bad, pages in ((1, 0), (2, 1)):
        simulation = Simulation(only_rule(config_of(slo_text()), HOUR))
        for request in range(10):
            simulation.at(START_MS + request * 20_000, 0 if request >= 10 - bad else 1, 1)
        assert len(simulation.transitions) == pages


def test_a_transition_explains_itself() -> None:
    simulation = Simulation(
        config_of(slo_text(extra=", annotations: {tocsin.dev/runbook: 'https://runbooks.example/x'}"))
    )
    warm(simulation, START_MS, 7 * HOUR, TRAFFIC)
    simulation.evaluator.apply(
        rows(), times({0: START_MS}, START_MS), simulation.offset + 1, {0: 5}, {simulation.group.id: ["ab" * 16]}
    )
    simulation.offset += 1
    simulation.run(START_MS, START_MS + 70 * SECOND, 1000, 1.0, TRAFFIC)
    page = next(transition for transition in simulation.transitions if transition.severity == "page")
    assert page.annotations["explain"] == f"tocsin explain {page.alert_id}"
    assert page.annotations["runbook"] == "https://runbooks.example/x"
    assert page.burn_started_ms == START_MS
    assert page.exemplars == ("ab" * 16,)
    assert page.config_hash == simulation.config.hash
    assert page.source_offsets == {"0": page.offset * 10}
    assert page.watermark_ms == page.event_ms - 5_000
    assert page.detected_ms == page.event_ms + 50
    assert "page above 14.4x" in page.summary
    assert page.burn[0].long_burn > 14.4


def test_status_is_sent_on_change_and_else_each_five_seconds() -> None:
    simulation = Simulation(config_of(slo_text()))
    simulation.run(START_MS, START_MS + 20 * SECOND, 500, 0.0)
    spans = [b.event_ms - a.event_ms for a, b in zip(simulation.statuses, simulation.statuses[1:], strict=False)]
    assert spans == [5000, 5000, 5000]


def test_groups_past_a_bound_and_unknown_groups_are_counted_and_change_nothing() -> None:
    config = config_of(slo_text(group_by="[region]"))
    evaluator = Evaluator(config, 0, Limits(groups=2))
    groups = [SloGroup("web", 0, {"region": str(number)}) for number in range(3)]
    strangers = [SloGroup("gone", 0, {}), SloGroup("web", 7, {})]
    deltas = rows(*[(group, START_MS, 1, 1) for group in (*groups, *strangers)])
    evaluator.apply(deltas, times({0: START_MS}, START_MS), 0, {})
    assert evaluator.groups == 2
    assert (evaluator.counters["dropped_groups"], evaluator.counters["unknown_groups"]) == (1, 2)
    assert evaluator.counters["unplaced"] == 3


def test_memory_is_bounded_by_bytes_as_well() -> None:
    evaluator = Evaluator(config_of(slo_text(group_by="[region]")), 0, Limits(history_bytes=60_000))
    groups = [SloGroup("web", 0, {"region": str(number)}) for number in range(5)]
    evaluator.apply(rows(*[(group, START_MS, 1, 1) for group in groups]), times({0: START_MS}, 0), 0, {})
    assert evaluator.groups == 2
    assert evaluator.history_bytes <= 60_000


def test_records_at_or_below_the_fence_are_skipped() -> None:
    simulation = Simulation(config_of(slo_text()))
    simulation.at(START_MS, 1, 1)
    assert simulation.evaluator.apply(rows((simulation.group, START_MS, 5, 5)), times({0: START_MS}, 0), 0, {}) == []
    assert simulation.evaluator.snapshot() == simulation.evaluator.snapshot()


def test_cost_follows_what_changed_not_how_many_groups_exist() -> None:
    simulation = Simulation(config_of(slo_text(group_by="[region]")))
    groups = [SloGroup("web", 0, {"region": str(number)}) for number in range(500)]
    simulation.step(rows(*[(group, START_MS, 1, 1) for group in groups]), times({0: START_MS + 5}, 0))
    before = simulation.evaluator.counters["judged"]
    simulation.step(rows((groups[7], START_MS + 9, 1, 1)), times({0: START_MS + 9}, 0))
    assert simulation.evaluator.counters["judged"] == before + 1


def test_a_changed_policy_keeps_alerts_and_numbers_and_begins_a_new_history() -> None:
    old = config_of(slo_text())
    simulation = Simulation(old)
    simulation.run(START_MS, START_MS + MINUTE, 1000, 1.0)
    fired = simulation.transitions[-1]
    new = only_rule(old, HOUR)
    evaluator = Evaluator(new, 0)
    evaluator.restore(simulation.evaluator.snapshot())
    again = Simulation(new)
    again.evaluator, again.offset = evaluator, simulation.offset
    later = START_MS + 2 * MINUTE
    again.run(later, later + 10 * MINUTE, 1000, 0.0)
    assert [(t.state, t.number) for t in again.transitions] == [("resolved", fired.number + 1)]
    assert again.transitions[0].alert_id == fired.alert_id


def test_an_slo_that_is_gone_leaves_the_snapshot() -> None:
    both = config_of(slo_text(), slo_text(name="other"))
    simulation = Simulation(both, group=SloGroup("other", 0, {}))
    simulation.at(START_MS, 1, 1)
    evaluator = Evaluator(config_of(slo_text()), 0)
    evaluator.restore(simulation.evaluator.snapshot())
    assert evaluator.groups == 0
    assert dataclasses.asdict(evaluator.bounds) == dataclasses.asdict(Limits())
