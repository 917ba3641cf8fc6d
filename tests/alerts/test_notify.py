"""From alert transitions and commands to incidents and notifications."""

from __future__ import annotations

import dataclasses

import pytest

from alerts.incident import Incident
from alerts.limits import Limits
from alerts.matcher import Matcher
from alerts.notify import Effect, Notifier
from alerts.packing import CorruptSnapshot
from alerts.route import Route, Routes
from schemas.records import AlertTransition, BurnReading, Command, IncidentTransition, NotificationRecord
from tests.alerts.simulate import START_MS

READING = BurnReading("page", 3_600_000, 300_000, 14.4, 340_000, 360_000, 10_000, 30_000, 55.5, 666.7, 0.054, True)
ROUTES = Routes(
    {"oncall": ("pagerduty",), "team": ("webhook",)},
    ("team",),
    (Route((Matcher("severity", "=", "page"),), ("oncall", "team")),),
)


def transition(
    number: int,
    severity: str,
    previous: str = "none",
    *,
    alert: str = "a-1",
    slo: str = "web",
    frozen: bool = False,
    **labels: str,
) -> AlertTransition:
    return AlertTransition(
        transition_id=f"{alert}/{number}", alert_id=alert, number=number, slo=slo, objective=0, labels=labels,
        state="resolved" if severity == "none" else "firing", severity=severity, previous_severity=previous, frozen=frozen,
        event_ms=START_MS + number * 1000, burn_started_ms=START_MS, detected_ms=START_MS, target=0.999,
        period_ms=30 * 86_400_000, burn=(READING,), budget_left=0.792, exemplars=("ab" * 16,), watermark_ms=START_MS,
        partition=0, offset=number, source_offsets={"0": 1}, config_hash="c0ffee", policy="default-30d",
        annotations={"service": "shop", "title": "Requests succeed", "explain": f"tocsin explain {alert}", "runbook": "https://r"},
        summary=f"Requests succeed burn {severity}.",
    )  # fmt: skip


def command(kind: str, target: str, identity: str = "c1") -> Command:
    return Command(identity, kind, target, "ada", START_MS, {})


def told(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(effect.channel, effect.action) for effect in effects if isinstance(effect, NotificationRecord)]


def states(effects: list[Effect]) -> list[tuple[str, str, str]]:
    return [(e.state, e.severity, e.reason) for e in effects if isinstance(e, IncidentTransition)]


def test_a_burn_is_told_when_it_begins_rises_and_ends() -> None:
    """
    alert     ticket----page------ticket----resolved
    webhook   trigger   update              resolve
    pagerduty           trigger             resolve
    """
    notifier = Notifier(ROUTES)
    effects = notifier.apply(transition(1, "ticket"), 10)
    assert told(effects) == [("webhook", "trigger")]
    assert states(effects) == [("open", "ticket", "first alert")]
    assert told(notifier.apply(transition(2, "page", "ticket"), 20)) == [
        ("webhook", "update"),
        ("pagerduty", "trigger"),
    ]
    assert [incident.told for incident in notifier.open.values()] == [["webhook", "pagerduty"]]
    effects = notifier.apply(transition(3, "ticket", "page"), 30)
    assert (told(effects), states(effects)) == ([], [("open", "ticket", "severity fell")])
    effects = notifier.apply(transition(4, "none", "ticket"), 40)
    assert told(effects) == [("webhook", "resolve"), ("pagerduty", "resolve")]
    assert states(effects) == [("resolved", "none", "all alerts resolved")]
    assert notifier.open == {}


def test_a_notification_says_what_burns_how_fast_since_when_and_how_to_explain_it() -> None:
    (_, record) = Notifier(Routes.plain("log")).apply(transition(1, "page", region="west"), 77)
    assert isinstance(record, NotificationRecord)
    assert (record.status, record.severity, record.source, record.created_ms) == ("pending", "page", "shop", 77)
    assert record.dedup_key == record.incident_id
    assert record.summary == "Requests succeed burn page."
    expected = {
        "slo": "web",
        "burn": "55.5x over 1h, 666.7x over 5m (limit 14.4x)",
        "since": "2026-01-01T00:00:00Z",
        "budget_left": "79.2%",
        "groups": "{region=west}",
        "exemplars": "ab" * 16,
        "explain": "tocsin explain a-1",
        "runbook": "https://r",
    }
    assert expected.items() <= record.details.items()


def test_alerts_of_one_slo_share_an_incident_and_the_second_wakes_nobody() -> None:
    notifier = Notifier(Routes.plain("log"))
    (first, _) = notifier.apply(transition(1, "page", region="west"), 0)
    effects = notifier.apply(transition(1, "page", alert="b-1", region="east"), 0)
    assert (told(effects), states(effects)) == ([], [("open", "page", "alert joined")])
    assert states(notifier.apply(transition(2, "none", "page", region="west"), 0)) == [
        ("open", "page", "alert resolved, others burn")
    ]
    effects = notifier.apply(transition(2, "none", "page", alert="b-1", region="east"), 0)
    assert told(effects) == [("log", "resolve")]
    assert isinstance(first, IncidentTransition)
    assert first.labels == {"slo": "web"}


def test_group_by_decides_what_one_incident_is() -> None:
    notifier = Notifier(dataclasses.replace(Routes.plain("log"), group_by=("slo", "region")))
    for alert, region in (("a-1", "west"), ("b-1", "east")):
        assert told(notifier.apply(transition(1, "page", alert=alert, region=region), 0)) == [("log", "trigger")]
    assert len({incident.incident_id for incident in notifier.open.values()}) == 2


def test_acknowledging_is_told_once_and_a_rise_takes_it_back() -> None:
    notifier = Notifier(ROUTES)
    notifier.apply(transition(1, "ticket"), 0)
    effects = notifier.apply(command("acknowledge", "a-1"), 5)
    assert (told(effects), states(effects)) == (
        [("webhook", "acknowledge")],
        [("acknowledged", "ticket", "acknowledged by a person")],
    )
    assert isinstance(effects[0], IncidentTransition)
    assert effects[0].actor == "ada"
    assert notifier.apply(command("acknowledge", "a-1", "c2"), 6) == []
    assert states(notifier.apply(transition(2, "page", "ticket"), 7)) == [("open", "page", "severity rose")]


def test_what_a_person_resolved_stays_so_until_it_rises_or_burns_anew() -> None:
    notifier = Notifier(Routes.plain("log"))
    (opened, _) = notifier.apply(transition(1, "page"), 0)
    assert isinstance(opened, IncidentTransition)
    assert told(notifier.apply(command("resolve", opened.incident_id), 0)) == [("log", "resolve")]
    assert notifier.apply(transition(2, "ticket", "page"), 0) == []
    assert told(notifier.apply(transition(3, "page", "ticket"), 0)) == [("log", "trigger")]
    notifier.apply(transition(4, "none", "page"), 0)
    (again, _) = notifier.apply(transition(5, "page", alert="a-2"), 0)
    assert isinstance(again, IncidentTransition)
    assert again.incident_id != opened.incident_id


def test_a_repeated_transition_or_command_has_no_effect() -> None:
    notifier = Notifier(Routes.plain("log"))
    notifier.apply(transition(1, "page"), 0)
    assert notifier.apply(transition(1, "page"), 99) == []
    notifier.apply(command("acknowledge", "a-1"), 0)
    assert notifier.apply(command("acknowledge", "a-1"), 99) == []
    assert notifier.counters["repeated"] == 2


def test_frozen_alerts_wake_nobody_and_are_recorded() -> None:
    notifier = Notifier(Routes.plain("log"))
    notifier.apply(transition(1, "page"), 0)
    effects = notifier.apply(transition(2, "page", "page", frozen=True), 0)
    assert (told(effects), states(effects)) == ([], [("open", "page", "alert has no data")])


def test_the_same_log_gives_the_same_ids() -> None:
    log = [transition(1, "ticket"), transition(2, "page", "ticket"), transition(3, "none", "page")]
    one, two = Notifier(ROUTES), Notifier(ROUTES)
    assert [one.apply(item, 5) for item in log] == [two.apply(item, 5) for item in log]
    ids = [
        e.notification_id for item in log for e in Notifier(ROUTES).apply(item, 5) if isinstance(e, NotificationRecord)
    ]
    assert len(set(ids)) == len(ids)


def test_a_command_for_nothing_is_counted() -> None:
    notifier = Notifier(ROUTES)
    assert notifier.apply(command("resolve", "nowhere"), 0) == []
    assert notifier.counters["command_without_incident"] == 1


def test_past_the_bound_incidents_share_one_and_none_is_lost() -> None:
    notifier = Notifier(Routes.plain("log"), Limits(open_incidents=2))
    for number in range(4):
        notifier.apply(transition(1, "page", alert=f"{number}-1", slo=f"slo-{number}"), 0)
    assert len(notifier.open) == 3
    assert sum(len(incident.parts) for incident in notifier.open.values()) == 4
    for number in range(4):
        notifier.apply(transition(2, "none", "page", alert=f"{number}-1", slo=f"slo-{number}"), 0)
    assert notifier.open == {}


def test_past_the_bound_of_alerts_the_resolved_make_way_and_the_rest_are_counted() -> None:
    notifier = Notifier(Routes.plain("log"), Limits(alerts_in_incident=2))
    for number in range(3):
        notifier.apply(transition(1, "page", alert=f"{number}-1"), 0)
    (incident,) = notifier.open.values()
    assert (len(incident.parts), incident.beyond) == (2, 1)
    notifier.apply(transition(2, "none", "page", alert="0-1"), 0)
    notifier.apply(transition(1, "page", alert="9-1"), 0)
    assert set(incident.parts) == {"1-1", "9-1"}
    assert incident.others == {"2-1": 2}


def storm(notifier: Notifier, alerts: int, severity: str = "page") -> Incident:
    for number in range(alerts):
        notifier.apply(transition(1, severity, alert=f"{number}-1"), 0)
    (incident,) = notifier.open.values()
    return incident


def test_an_incident_ends_with_the_last_of_its_alerts_also_past_the_bound() -> None:
    notifier = Notifier(Routes.plain("log"), Limits(alerts_in_incident=2))
    storm(notifier, 5)
    for number in range(4):
        assert told(notifier.apply(transition(2, "none", "page", alert=f"{number}-1"), 0)) == []
    assert told(notifier.apply(transition(2, "none", "page", alert="4-1"), 0)) == [("log", "resolve")]
    assert notifier.open == {}


def test_a_page_past_the_bound_of_tickets_pages_and_is_what_the_page_tells() -> None:
    notifier = Notifier(ROUTES, Limits(alerts_in_incident=2))
    incident = storm(notifier, 4, "ticket")
    effects = notifier.apply(transition(2, "page", "ticket", alert="3-1", region="far"), 0)
    assert told(effects) == [("webhook", "update"), ("pagerduty", "trigger")]
    assert next(effect.details["groups"] for effect in effects if isinstance(effect, NotificationRecord)).startswith(
        "{region=far}"
    )
    assert (len(incident.parts), incident.others) == (2, {"0-1": 1, "2-1": 1})
    assert states(notifier.apply(transition(3, "none", "page", alert="3-1"), 0)) == [
        ("open", "ticket", "severity fell")
    ]


def test_what_burns_past_the_bound_is_told_in_numbers() -> None:
    notifier = Notifier(ROUTES, Limits(alerts_in_incident=1))
    storm(notifier, 3, "ticket")
    effects = notifier.apply(transition(2, "page", "ticket", alert="0-1"), 0)
    (update, _) = [effect for effect in effects if isinstance(effect, NotificationRecord)]
    assert update.summary == "Requests succeed burn page. And 2 more."
    assert update.details["alerts_left_out"] == "2"


def test_a_storm_that_a_person_resolved_opens_nothing_until_it_rises() -> None:
    notifier = Notifier(Routes.plain("log"), Limits(alerts_in_incident=1))
    incident = storm(notifier, 3, "ticket")
    assert told(notifier.apply(command("resolve", "2-1"), 0)) == [("log", "resolve")]
    assert notifier.open == {}
    for number in range(3):
        assert notifier.apply(transition(2, "ticket", "ticket", alert=f"{number}-1", frozen=True), 0) == []
    assert told(notifier.apply(transition(3, "page", "ticket", alert="2-1"), 0)) == [("log", "trigger")]
    assert set(notifier.open) == {incident.key}


def test_past_every_bound_alerts_are_counted_and_nothing_else() -> None:
    notifier = Notifier(Routes.plain("log"), Limits(alerts_in_incident=1, alerts_counted=1))
    incident = storm(notifier, 5)
    assert (len(incident.parts), len(incident.others), incident.left_out) == (1, 1, 3)
    assert notifier.counters["alerts_left_out"] == 3


def test_a_channel_that_only_a_later_alert_concerns_is_told_when_that_rises() -> None:
    regions = ("west", "east")
    routes = Routes(
        {name: (name,) for name in (*regions, "team")},
        ("team",),
        tuple(Route((Matcher("severity", "=", "page"), Matcher("region", "=", name)), (name,)) for name in regions),
    )
    notifier = Notifier(routes)
    notifier.apply(transition(1, "page", region="west"), 0)
    notifier.apply(transition(1, "ticket", alert="b-1", region="east"), 0)
    assert told(notifier.apply(transition(2, "page", "ticket", alert="b-1", region="east"), 0)) == [("east", "trigger")]
    assert told(notifier.apply(transition(3, "page", "page", alert="b-1", region="east", frozen=True), 0)) == []


def test_long_texts_are_cut() -> None:
    long = dataclasses.replace(transition(1, "page"), summary="x" * 5000)
    (_, record) = Notifier(Routes.plain("log")).apply(long, 0)
    assert isinstance(record, NotificationRecord)
    assert len(record.summary) == 1024
    assert all(len(text) <= 2048 for text in record.details.values())


def test_a_snapshot_carries_everything() -> None:
    notifier, restored = (Notifier(ROUTES, Limits(alerts_in_incident=1)) for _ in range(2))
    notifier.apply(transition(1, "page"), 0)
    notifier.apply(transition(1, "page", alert="b-1"), 0)
    notifier.apply(command("acknowledge", "a-1"), 0)
    restored.restore(notifier.snapshot())
    assert restored.apply(transition(1, "page"), 0) == []
    for alert in ("a-1", "b-1"):
        last = transition(2, "none", "page", alert=alert)
        assert restored.apply(last, 9) == notifier.apply(last, 9)
    assert restored.open == {}
    assert restored.snapshot() == notifier.snapshot()


def test_a_damaged_snapshot_is_refused() -> None:
    data = bytearray(Notifier(ROUTES).snapshot())
    with pytest.raises(CorruptSnapshot):
        Notifier(ROUTES).restore(bytes(data[: len(data) // 2]))
    with pytest.raises(CorruptSnapshot):
        Notifier(ROUTES).restore(b"")
