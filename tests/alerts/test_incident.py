"""The table of incidents."""

from __future__ import annotations

import itertools

import pytest

from alerts.incident import TRANSITIONS, Change, IncidentState, NoSuchChange, incident_id, incident_key, step
from alerts.notification import REASONS, reason_for


def test_what_is_not_in_the_table_is_an_error_and_resolved_is_the_end() -> None:
    assert TRANSITIONS[IncidentState.RESOLVED] == {}
    for state, change in itertools.product(IncidentState, Change):
        if change not in TRANSITIONS[state]:
            with pytest.raises(NoSuchChange):
                step(state, change)


def test_every_living_incident_can_end() -> None:
    for state in (IncidentState.OPEN, IncidentState.ACKNOWLEDGED):
        assert {step(state, change).to for change in (Change.ENDED, Change.CLOSED)} == {IncidentState.RESOLVED}


def test_a_rise_takes_an_acknowledgement_back() -> None:
    assert step(IncidentState.ACKNOWLEDGED, Change.ROSE).to is IncidentState.OPEN
    assert step(IncidentState.ACKNOWLEDGED, Change.JOINED).to is IncidentState.ACKNOWLEDGED


def test_there_is_a_reason_for_every_change_told_or_not() -> None:
    assert set(REASONS) == set(Change)
    assert all(
        reason_for(change, told, wanted).text for change in Change for told in (True, False) for wanted in (True, False)
    )
    assert reason_for(Change.ENDED, told=False, wanted=False).action == ""
    assert reason_for(Change.ROSE, told=False, wanted=True).action == "trigger"


def test_keys_ignore_the_order_of_labels() -> None:
    labels = {"slo": "web", "region": "west", "x": "y"}
    assert incident_key(labels, ("slo", "region")) == incident_key(labels, ("region", "slo")) == "region=west,slo=web"
    assert incident_id("k", "t1") != incident_id("k", "t2")
