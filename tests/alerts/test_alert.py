"""The table of states."""

from __future__ import annotations

import itertools

import pytest

from alerts.alert import TRANSITIONS, NoSuchTransition, State, Trigger, alert_id, step, transition_id, trigger_of
from alerts.diagram import alert_edges, dot, mermaid
from alerts.incident import TRANSITIONS as INCIDENT_TRANSITIONS
from alerts.incident import IncidentState, incident_edges


def test_no_path_leads_from_firing_to_inactive_without_resolved() -> None:
    reached, frontier = set(), {State.FIRING}
    while frontier:
        state = frontier.pop()
        reached.add(state)
        if state is not State.RESOLVED:
            frontier |= {arrow.to for arrow in TRANSITIONS[state].values()} - reached
    assert State.INACTIVE not in reached


def test_missing_data_never_leaves_firing() -> None:
    assert TRANSITIONS[State.FIRING][Trigger.FREEZE].to is State.FIRING
    assert TRANSITIONS[State.FIRING][Trigger.THAW].to is State.FIRING


def test_what_is_not_in_the_table_is_an_error() -> None:
    for state, trigger in itertools.product(State, Trigger):
        if trigger in TRANSITIONS[state]:
            assert step(state, trigger).to in State
        else:
            with pytest.raises(NoSuchTransition):
                step(state, trigger)


def test_each_trigger_that_is_found_is_in_the_table() -> None:
    for state, before, now, *frozen in itertools.product(State, range(3), range(3), (False, True), (False, True)):
        if (state is State.FIRING) != (before > 0):
            continue
        trigger = trigger_of(state, before, now, frozen[0], frozen[1])
        assert trigger is None or trigger in TRANSITIONS[state]


def test_each_state_can_be_reached_and_every_trigger_is_used() -> None:
    assert {arrow.to for arrows in TRANSITIONS.values() for arrow in arrows.values()} == set(State)
    assert {trigger for arrows in TRANSITIONS.values() for trigger in arrows} == set(Trigger)


def test_ids_name_one_burn_and_one_transition() -> None:
    assert alert_id(255, 1) == "00000000000000ff-1"
    assert alert_id(255, 1) != alert_id(255, 2)
    assert transition_id(255, 1) != transition_id(255, 2)


def test_pictures_show_every_arrow_of_the_tables() -> None:
    assert mermaid().count("-->") == sum(len(arrows) for arrows in TRANSITIONS.values()) + 1
    assert "resolved --> inactive: settle (silent)" in mermaid()
    assert '"firing" -> "resolved" [label="clear"];' in dot()
    picture = mermaid(incident_edges(), IncidentState.OPEN.value)
    assert picture.count("-->") == sum(len(arrows) for arrows in INCIDENT_TRANSITIONS.values()) + 1
    assert len(alert_edges()) == 8
