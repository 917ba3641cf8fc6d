"""Laws of evaluation: replay, snapshots at any point, and walks through the table of states."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import TRANSITIONS, State
from alerts.evaluate import Evaluator, Output
from schemas.records import AlertTransition, SloGroup, SloStatus
from tests.alerts.simulate import START_MS, Rows, Times, config_of, rows, slo_text, times

CONFIG = config_of(
    slo_text("web", "0.9", "1h", group_by="[region]", extra=", annotations: {tocsin.dev/freshness: 10s}").replace(
        "  indicator:", "  alertPolicies:\n" + "".join(
            f"""    - kind: AlertPolicy
      metadata: {{name: p{number}}}
      spec: {{conditions: [{{kind: AlertCondition, spec: {{severity: {severity},
        condition: {{kind: burnrate, op: gt, threshold: {factor}, lookbackWindow: {window}}}}}}}]}}
"""
            for number, (severity, factor, window) in enumerate([("page", 5, "2m"), ("ticket", 2, "5m")])
        ) + "  indicator:",
    ),
    slo_text("cars", "0.99", "1d", kind="vehicle"),
)  # fmt: skip
GROUPS = (SloGroup("web", 0, {"region": "east"}), SloGroup("web", 0, {"region": "west"}), SloGroup("cars", 0, {}))

DELTA = st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 0, 20_000, 300_000]), st.sampled_from([0, 0, 0.5, 1]))
STEP = st.tuples(
    st.sampled_from([500, 3_000, 12_000, 60_000]),  # event time goes on by
    st.sampled_from([0, 0, 0, 30_000, 900_000]),  # idle for, when nothing comes
    st.lists(DELTA, max_size=4),
)
STEPS = st.lists(STEP, min_size=5, max_size=40)
Step = tuple[int, int, list[tuple[int, int, float]]]


def log_of(steps: list[Step]) -> list[tuple[Rows, Times]]:
    """A partials log."""
    found, time_ms = [], START_MS
    for jump_ms, idle_ms, deltas in steps:
        time_ms += jump_ms if deltas else 0
        entries = [(GROUPS[group], time_ms - lag_ms, 50 * share, 50.0) for group, lag_ms, share in deltas]
        idle = {} if deltas else {0: idle_ms, 2: idle_ms}
        found.append((rows(*entries), times({0: time_ms, 2: time_ms}, time_ms + idle_ms, idle)))
    return found


def outputs(evaluator: Evaluator, log: list[tuple[Rows, Times]], first: int = 0) -> list[Output]:
    return [
        output
        for offset, (deltas, clock) in enumerate(log[first:], first)
        for output in evaluator.apply(deltas, clock, offset, {0: offset})
    ]


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_replay_gives_the_same_outputs_and_the_same_state(steps: list[Step]) -> None:
    log, one, other = log_of(steps), Evaluator(CONFIG, 0), Evaluator(CONFIG, 0)
    assert outputs(one, log) == outputs(other, log)
    assert one.snapshot() == other.snapshot()


@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_a_restart_at_any_point_changes_nothing(steps: list[Step], data: st.DataObject) -> None:
    log, whole = log_of(steps), Evaluator(CONFIG, 0)
    cut = data.draw(st.integers(0, len(log)))
    expected = outputs(whole, log)
    before = Evaluator(CONFIG, 0)
    head = outputs(before, log[:cut])
    after = Evaluator(CONFIG, 0)
    after.restore(before.snapshot())
    assert head + outputs(after, log, cut) == expected
    assert after.snapshot() == whole.snapshot()
    assert outputs(after, log) == []


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_every_walk_stays_on_the_arrows_of_the_table(steps: list[Step]) -> None:
    found = [output for output in outputs(Evaluator(CONFIG, 0), log_of(steps)) if isinstance(output, AlertTransition)]
    for group in GROUPS:
        state, number, episode = State.INACTIVE, 0, 0
        for transition in found:
            if (transition.slo, transition.labels) != (group.slo, group.labels):
                continue
            to = State[transition.state.upper()]
            silent = {arrow.to for arrow in TRANSITIONS[state].values() if not arrow.recorded} | {state}
            assert any(arrow.to is to for origin in silent for arrow in TRANSITIONS[origin].values() if arrow.recorded)
            assert not (state is State.FIRING and to is State.INACTIVE)
            raised = state is not State.FIRING and to is State.FIRING
            episode, number, state = episode + raised, number + 1, to
            assert (transition.number, transition.alert_id) == (number, f"{group.id:016x}-{episode:x}")
            assert (transition.severity == "none") == (to is not State.FIRING)
            assert transition.transition_id not in {t.transition_id for t in found if t is not transition}


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_nothing_resolves_or_fires_while_unmeasured(steps: list[Step]) -> None:
    evaluator, face = Evaluator(CONFIG, 0), {}
    for offset, (deltas, clock) in enumerate(log_of(steps)):
        silent = {key for key, state in face.items() if state == "unmeasured"}
        for output in evaluator.apply(deltas, clock, offset, {}):
            key = (output.slo, tuple(output.labels.items()))
            if isinstance(output, SloStatus):
                face[key] = output.state
            elif len(deltas.group) == 0:
                assert output.frozen
                assert output.state == "firing"
                assert key not in silent


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_the_order_of_rows_in_a_step_does_not_matter(steps: list[Step]) -> None:
    seeded: list[Step] = [(500, 0, [(0, 0, 1), (1, 0, 1), (2, 0, 1)])]  # rows are numbered by first appearance
    turned = seeded + [(jump, idle, deltas[::-1]) for jump, idle, deltas in steps]
    one, other = Evaluator(CONFIG, 0), Evaluator(CONFIG, 0)
    assert outputs(one, log_of(seeded + steps)) == outputs(other, log_of(turned))


def test_the_laws_are_tried_on_logs_that_page_freeze_and_resolve() -> None:
    burn: list[Step] = [(3_000, 0, [(0, 0, 1)])] * 10 + [(3_000, 0, [(0, 0, 0)])] * 30
    silence: list[Step] = [(0, 30_000, [])]
    steps = burn + silence + [(3_000, 0, [(0, 0, 1)])] * 39 + [(60_000, 0, [(0, 0, 1)])] * 20
    found = [output for output in outputs(Evaluator(CONFIG, 0), log_of(steps)) if isinstance(output, AlertTransition)]
    assert {"firing", "resolved"} == {transition.state for transition in found}
    assert any(transition.frozen for transition in found)
    assert {"page", "ticket"} <= {transition.severity for transition in found}
    assert dataclasses.is_dataclass(found[0])
