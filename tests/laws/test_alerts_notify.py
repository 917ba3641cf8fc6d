"""Laws of notification: repeats change nothing, restarts change nothing, and what was triggered is resolved once."""

from __future__ import annotations

import collections

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.notify import Effect, Notifier
from schemas.records import AlertTransition, Command, IncidentTransition, NotificationRecord
from tests.alerts.test_notify import ROUTES, command, transition

Item = AlertTransition | Command


@st.composite
def logs(draw: st.DrawFn) -> list[Item]:
    """A log of alerts that walk through their table, mixed with commands; each alert resolves in the end."""
    severity: dict[str, str] = {}
    number: collections.Counter[str] = collections.Counter()
    found: list[Item] = []

    def move(alert: str, to: str) -> None:
        number[alert] += 1
        slo = f"slo-{int(alert[0], 16) % 2}"
        found.append(transition(number[alert], to, severity.get(alert, "none"), alert=alert, slo=slo))
        severity[alert] = to

    for step in range(draw(st.integers(1, 25))):
        alert = f"{draw(st.integers(0, 3))}-{draw(st.integers(1, 2))}"
        if draw(st.integers(0, 4)) == 0:
            found.append(command(draw(st.sampled_from(["acknowledge", "resolve"])), alert, f"c{step}"))
        elif severity.get(alert) != "none":
            choices = {"ticket", "page", "none"} - {severity.get(alert, "none")}
            move(alert, draw(st.sampled_from(sorted(choices))))
    for alert in [alert for alert, now in severity.items() if now != "none"]:
        move(alert, "none")
    return found


def effects(notifier: Notifier, log: list[Item]) -> list[Effect]:
    return [effect for at, item in enumerate(log) for effect in notifier.apply(item, at)]


@settings(max_examples=100, deadline=None)
@given(logs())
def test_a_repeated_log_has_no_effect(log: list[Item]) -> None:
    notifier = Notifier(ROUTES)
    effects(notifier, log)
    before = notifier.snapshot()
    assert effects(notifier, log) == []
    assert notifier.snapshot() == before


@settings(max_examples=100, deadline=None)
@given(logs(), st.data())
def test_a_restart_at_any_point_changes_nothing(log: list[Item], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))
    whole, before, after = Notifier(ROUTES), Notifier(ROUTES), Notifier(ROUTES)
    expected = [whole.apply(item, 0) for item in log]
    head = [before.apply(item, 0) for item in log[:cut]]
    after.restore(before.snapshot())
    assert head + [after.apply(item, 0) for item in log[cut:]] == expected


@settings(max_examples=100, deadline=None)
@given(logs())
def test_each_channel_is_triggered_once_and_resolved_once_an_incident(log: list[Item]) -> None:
    notifier = Notifier(ROUTES)
    found = effects(notifier, log)
    told = collections.defaultdict(list)
    for effect in found:
        if isinstance(effect, NotificationRecord):
            told[effect.incident_id, effect.channel].append(effect.action)
    for actions in told.values():
        assert actions[0] == "trigger"
        assert actions[-1] == "resolve"
        assert (actions.count("trigger"), actions.count("resolve")) == (1, 1)
    ids = [effect.notification_id for effect in found if isinstance(effect, NotificationRecord)]
    assert len(set(ids)) == len(ids)
    assert notifier.open == {}


@settings(max_examples=60, deadline=None)
@given(logs())
def test_an_incident_counts_its_transitions_and_ends_resolved(log: list[Item]) -> None:
    numbers = collections.defaultdict(list)
    for effect in effects(Notifier(ROUTES), log):
        if isinstance(effect, IncidentTransition):
            numbers[effect.incident_id].append((effect.number, effect.state))
    for steps in numbers.values():
        assert [number for number, _ in steps] == list(range(1, len(steps) + 1))
        assert [state == "resolved" for _, state in steps] == [False] * (len(steps) - 1) + [True]
