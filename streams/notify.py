"""Notify: alert transitions and commands in; incidents, notifications and requests to channels out. One step a partition.

The decisions are `alerts.notify` (what to tell) and `sinks.outbox` (when to send what). After a crash a notification may
be sent again, under the same key: a duplicate beats a miss. What cannot be read becomes a dead letter. It refuses to send what the state in the log does not owe.
"""

from __future__ import annotations

import struct

from alerts.notify import Notifier
from alerts.route import Routes
from schemas import codec
from schemas.corrupt import TIME, CorruptRecord
from schemas.records import AlertTransition, Command, IncidentTransition, NotificationRecord
from sinks import outbox_state
from sinks.channels import Channels
from sinks.delivery import Delivery
from sinks.outbox import Outbox
from streams import letters, selfmetrics, topics
from streams.producer import Outgoing
from streams.records import Record, Records
from streams.settings import Settings

_HEAD = struct.Struct("<qQQ")
STAGE = "notify"
CALENDAR_MS = 253_402_300_800_000  # the year 10000, which no date can name


class NotifyStep:
    """See `streams.step.Step`."""

    def __init__(
        self, partition: int, settings: Settings, routes: Routes, channels: Channels, delivery: Delivery
    ) -> None:
        self.partition = partition
        self.fence = -1
        self._notifier = Notifier(routes)
        self._outbox = Outbox(channels.policies(settings.partitions))
        self._delivery = delivery
        self._offers: list[NotificationRecord] = []
        self._incidents: list[Outgoing] = []
        self._letters: list[Outgoing] = []
        self._now_ms = 0
        self._dirty = False
        self._made = 0  # notifications that the incidents asked for, since this step began
        self._taken_before = 0  # what the outbox had taken then

    @property
    def unaccounted(self) -> int:
        """Notifications that were asked for and are neither settled nor waiting, or that nobody asked for."""
        waiting = self._made - len(self._offers) - (self._outbox.taken - self._taken_before)
        return abs(waiting) + abs(self._outbox.unaccounted)

    @property
    def urgent(self) -> bool:
        """Somebody waits to be told, or has been."""
        return bool(self._offers or self._outbox.changes)

    @property
    def wants_snapshot(self) -> bool:
        """What is owed must be in the log before it is sent."""
        return self._dirty or bool(self._offers)

    def apply(self, records: Records) -> None:
        """One transition or command after the other."""
        for record in records:
            if record.offset > self.fence:
                self.fence = record.offset
                self._one(record)

    def _one(self, record: Record) -> None:
        try:
            item = codec.decode(record.value)
            if not isinstance(item, AlertTransition | Command):
                raise letters.misplaced(item, "alerts and commands")
            if isinstance(item, AlertTransition):
                _dated(item)
        except CorruptRecord as error:
            self._letters.append(letters.dead(topics.ALERTS, self.partition, record, error))
            return
        for effect in self._notifier.apply(item, record.timestamp_ms):
            if isinstance(effect, IncidentTransition):
                key = effect.incident_id.encode()
                self._incidents.append(Outgoing(topics.INCIDENTS, key, codec.encode(effect), self.partition))
            else:
                self._made += 1
                self._offers.append(effect)

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Deliveries are due by this clock."""
        self._now_ms = now_ms

    def drain(self) -> list[Outgoing]:
        """Incidents, and every change of a delivery."""
        if self._offers:
            self._delivery.remove(self._outbox)  # until `settled`: nothing is sent that the log does not owe
            self._outbox.offer(self._offers, self._now_ms)
            self._offers = []
        incidents, self._incidents = self._incidents, []
        refused, self._letters = self._letters, []
        changes = [
            Outgoing(topics.NOTIFICATIONS, change.notification_id.encode(), codec.encode(change), self.partition)
            for change in self._outbox.drain()
        ]
        self._dirty = self._dirty or bool(changes)
        selfmetrics.deliveries(self.partition, self._outbox.counters)
        selfmetrics.unaccounted(STAGE, self.partition, self.unaccounted)
        return incidents + changes + refused

    def settled(self) -> None:
        """What is owed is in the log: send what is due."""
        self._dirty = False
        if not self._offers:
            self._delivery.remove(self._outbox)
            self._delivery.add(self._outbox)

    def snapshot(self) -> bytes:
        """Fence, incidents, outbox."""
        told, owed = self._notifier.snapshot(), outbox_state.snapshot(self._outbox)
        return _HEAD.pack(self.fence, len(told), len(owed)) + told + owed

    def restore(self, data: bytes) -> None:
        """Inverse of `snapshot`."""
        self.fence, told, owed = _HEAD.unpack_from(data)
        at = _HEAD.size
        self._notifier.restore(data[at : at + told])
        outbox_state.restore(self._outbox, data[at + told : at + told + owed])
        self._taken_before = self._outbox.taken

    def close(self) -> None:
        """Attempts under way are the next owner's, who sends them again under the same keys."""
        self._delivery.remove(self._outbox)
        selfmetrics.forget(STAGE, self.partition)


def _dated(alert: AlertTransition) -> None:
    """The times that people are told are on the calendar. Raises CorruptRecord."""
    for name in ("event_ms", "burn_started_ms"):
        if not 0 <= getattr(alert, name) < CALENDAR_MS:
            raise CorruptRecord(TIME, -1, f"{name} {getattr(alert, name)} is on no calendar")
