"""The notify step: what is owed is in the log before anybody is told, and is told once however often it is read."""

import dataclasses

import pytest

from alerts.route import Routes
from schemas import codec, corrupt
from schemas.records import Command, IncidentTransition, NotificationRecord
from sinks.channels import Channel, Channels
from sinks.lane import Policy
from sinks.port import Delivered
from sinks.webhook import Webhook
from streams import selfmetrics, topics
from streams.notify import NotifyStep
from streams.records import Record
from streams.settings import Settings
from tests.cli.build import ALERT, RESOLVED, STATUS, T0

SETTINGS = Settings(partitions=1)
CHANNELS = Channels({"hook": Channel("hook", "webhook", Policy(), Webhook("hook", "http://127.0.0.1:1/"))})


class FakeDelivery:
    """Whether the step's outbox may be sent from; `told` is what it was told about it."""

    def __init__(self) -> None:
        self.sends, self.told = [], []

    def add(self, outbox) -> None:
        self.sends.append(outbox)
        self.told.append("add")

    def remove(self, outbox) -> None:
        if outbox in self.sends:
            self.sends.remove(outbox)
        self.told.append("remove")


class World:
    """A step with its log."""

    def __init__(self) -> None:
        self.delivery = FakeDelivery()
        self.step = NotifyStep(0, SETTINGS, Routes.plain("hook"), CHANNELS, self.delivery)
        self.offset = 0

    def read(self, *items) -> None:
        records = [Record(self.offset + n, T0 + 5, codec.encode(item), None) for n, item in enumerate(items)]
        self.offset += len(records)
        self.step.apply(records)

    def drained(self, now_ms: int = T0 + 10) -> list:
        self.step.tick(now_ms, True)
        return [(out, codec.decode(out.value)) for out in self.step.drain()]

    def checkpoint(self, now_ms: int = T0 + 10) -> list:
        found = [record for _, record in self.drained(now_ms)]
        self.step.settled()
        return found

    def deliver(self, now_ms: int = T0 + 20) -> list[str]:
        """Send all that is due, and what it was."""
        sent = []
        for outbox in self.delivery.sends:
            for attempt in outbox.begin(now_ms):
                sent.append(attempt.notification.action)
                outbox.settle(attempt, Delivered("HTTP 200"), now_ms)
        return sent


@pytest.fixture
def world() -> World:
    return World()


def acknowledge(target: str, name: str = "c1") -> Command:
    return Command(name, "acknowledge", target, "ada", T0, {})


def test_an_alert_opens_an_incident_and_owes_a_notification(world):
    world.read(ALERT)
    assert (world.step.urgent, world.step.wants_snapshot) == (True, True)
    found = world.drained()
    (at_incidents, incident), (at_notifications, owed) = found
    assert isinstance(incident, IncidentTransition)
    assert isinstance(owed, NotificationRecord)
    assert (at_incidents.topic, at_incidents.key) == (topics.INCIDENTS, incident.incident_id.encode())
    assert (at_notifications.topic, at_notifications.key) == (topics.NOTIFICATIONS, owed.notification_id.encode())
    assert (incident.state, incident.at_ms, incident.event_ms) == ("open", T0 + 5, ALERT.event_ms)
    assert (owed.status, owed.action, owed.channel) == ("pending", "trigger", "hook")


def test_nobody_is_told_before_the_log_owes_it(world):
    world.checkpoint()
    assert world.delivery.sends
    world.read(ALERT)
    world.drained()
    assert not world.delivery.sends  # between the drain and the broker's acknowledgement of it
    assert world.step.wants_snapshot
    world.step.settled()
    assert world.deliver() == ["trigger"]
    assert world.step.urgent  # what came of it
    (told,) = world.checkpoint(T0 + 30)
    assert (told.status, told.attempts, told.response) == ("delivered", 1, "HTTP 200")
    assert not world.step.wants_snapshot


def test_what_came_in_between_waits_for_its_own_checkpoint(world):
    world.read(ALERT)
    world.drained()
    world.read(RESOLVED)
    world.step.settled()
    assert not world.delivery.sends
    world.checkpoint()
    assert world.delivery.sends


def test_a_delivery_that_changed_is_saved_with_the_next_checkpoint(world):
    world.read(ALERT)
    world.checkpoint()
    world.deliver()
    world.drained(T0 + 30)
    assert world.step.wants_snapshot
    world.step.settled()
    assert not world.step.wants_snapshot


def test_a_repeat_changes_nothing(world):
    world.read(ALERT)
    world.checkpoint()
    world.step.apply([Record(0, T0, codec.encode(ALERT), None)])  # below the fence
    world.read(ALERT)  # written twice
    assert world.step.fence == 1
    assert world.checkpoint() == []
    assert world.deliver() == ["trigger"]


def test_a_person_acknowledges_an_incident_by_its_id_or_its_alert(world):
    world.read(ALERT)
    (incident, _) = world.checkpoint()
    world.read(acknowledge(incident.incident_id), acknowledge(ALERT.alert_id, "c2"))
    changes = [record for record in world.checkpoint() if isinstance(record, IncidentTransition)]
    assert [(change.state, change.actor, change.number) for change in changes] == [("acknowledged", "ada", 2)]
    assert world.deliver() == ["trigger"]
    assert world.deliver(T0 + 40) == ["acknowledge"]  # never before the trigger


def test_a_command_about_nothing_is_counted(world):
    world.read(acknowledge("no-such-incident"))
    assert world.checkpoint() == []
    assert world.step._notifier.counters["command_without_incident"] == 1


def test_a_restored_step_tells_the_rest_and_repeats_nothing(world):
    world.read(ALERT)
    world.checkpoint()
    world.deliver()
    world.checkpoint(T0 + 30)
    after = World()
    after.step.restore(world.step.snapshot())
    after.offset = world.offset
    assert after.step.fence == world.step.fence == 0
    after.read(dataclasses.replace(RESOLVED, alert_id=ALERT.alert_id))
    incident, owed = after.checkpoint(T0 + 300_000)
    assert (incident.state, owed.action) == ("resolved", "resolve")
    assert after.deliver(T0 + 300_010) == ["resolve"]


def test_what_was_owed_at_a_crash_is_sent_by_whoever_comes_next(world):
    world.read(ALERT)
    world.drained()
    after = World()
    after.step.restore(world.step.snapshot())
    after.step.settled()
    assert after.deliver() == ["trigger"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (codec.encode(STATUS), corrupt.UNKNOWN_SCHEMA),
        (b"not avro", corrupt.FRAMING),
        (codec.encode(ALERT)[:-1], corrupt.LENGTH),
        (codec.encode(dataclasses.replace(ALERT, event_ms=2**60)), corrupt.TIME),
        (codec.encode(dataclasses.replace(ALERT, burn_started_ms=-1)), corrupt.TIME),
    ],
)
def test_what_does_not_belong_there_becomes_a_dead_letter_and_what_follows_is_told(world, value, reason):
    twin = World()
    for one in (world, twin):  # a replay writes the same letter
        one.step.apply([Record(0, T0, value, None), Record(1, T0 + 5, codec.encode(ALERT), None)])
    (out, letter), (again, _) = (
        next(row for row in one.drained() if row[0].topic == topics.DLQ) for one in (world, twin)
    )
    assert out == again
    assert (out.key, letter.source_topic, letter.offset) == (b"alerts/0/0", topics.ALERTS, 0)
    assert (letter.reason, letter.original) == (reason, value)
    assert world.step.fence == 1
    world.step.settled()
    assert world.deliver() == ["trigger"]
    assert not [row for row in world.drained() if row[0].topic == topics.DLQ]


def test_the_next_owner_sends(world):
    world.checkpoint()
    world.step.close()
    assert not world.delivery.sends


def test_what_incidents_asked_for_is_settled_or_waits_and_what_vanishes_is_unaccounted_for(world, monkeypatch):
    world.read(ALERT)
    assert world.step.unaccounted == 0  # on its way to the outbox
    world.checkpoint()
    assert world.step.unaccounted == 0
    restored = World()
    restored.step.restore(world.step.snapshot())
    restored.offset = world.offset
    restored.read(RESOLVED)
    restored.checkpoint()
    restored.deliver()
    assert restored.step.unaccounted == 0
    monkeypatch.setattr("sinks.outbox.Outbox.offer", lambda *_: None)
    world.read(RESOLVED)
    world.checkpoint()
    assert world.step.unaccounted == 1
    assert b'tocsin_unaccounted_events{partition="0",stage="notify"} 1.0' in selfmetrics.exposition()
    world.step.close()
    assert b'tocsin_unaccounted_events{partition="0",stage="notify"}' not in selfmetrics.exposition()
