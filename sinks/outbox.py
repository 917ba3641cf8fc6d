"""Outbox: every delivery that is owed, over all channels, as a pure state machine.

    offer -> waiting -> under way -> delivered
                ^           |-----> failed: the receiver does not want it; the fallback channel is asked
                |-- retry --|-----> abandoned: too old, superseded, or no room

What: `offer` takes notifications, `begin` says what to send now, `settle` takes what came of it, `drain` gives every
change as a record for the notifications topic. Why pure: time and answers come in, so a year of outages is tested in a
second. A duplicate beats a miss: what may or may not have arrived is sent again, under the same keys. It refuses to drop
anything uncounted.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

from schemas.records import NotificationRecord
from sinks import limits
from sinks.lane import Entry, Lane, Policy
from sinks.port import FIRST, Before, Category, Delivered, Outcome, Rejected, Retry, shortened

Settled = Literal["delivered", "failed", "abandoned"]
#: Actions that somebody has to hear of; the others only concern a channel that was told before.
TELLING = frozenset({"trigger", "update"})
SETTLED = frozenset({"delivered", "failed", "abandoned"})
#: Counters of what becomes of a delivery, each counted under one: `offered` is their sum and what waits.
FATES = ("delivered", "rejected", "unknown_channel", "superseded", "overflow", "too_old", "learned")


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to perform: the notification, through `notification.channel`, within `timeout_ms`."""

    notification: NotificationRecord
    number: int
    timeout_ms: int
    before: Before = FIRST


class Known:
    """Keys, newest last; at most `most`, the oldest are forgotten and counted."""

    def __init__(self, most: int) -> None:
        self.most, self.forgotten = most, 0
        self.keys: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def add(self, key: str) -> None:
        """Remember a key as the newest."""
        self.keys.pop(key, None)
        self.keys[key] = None
        while len(self.keys) > self.most:
            del self.keys[next(iter(self.keys))]
            self.forgotten += 1

    def discard(self, key: str) -> None:
        """Forget a key."""
        self.keys.pop(key, None)


class Outbox:
    """The deliveries of one partition of the alerts log. All times: wall clock, ms."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self.lanes = {name: Lane(name, policy) for name, policy in policies.items()}
        self.counters: collections.Counter[str] = collections.Counter()
        self.settled_ids = Known(limits.SETTLED_MAX)
        self.told = Known(limits.TOLD_MAX)  # channel and incident: a trigger was offered there
        self.elsewhere = Known(limits.TOLD_MAX)  # channel and incident: handed over to its fallback
        self.memos: dict[str, str] = {}  # channel and incident: what its destination wants to be reminded of
        self.now_ms = 0
        self.sequence = 0
        self.changes: collections.deque[NotificationRecord] = collections.deque()
        self._sweep_ms = 0

    def __len__(self) -> int:
        return sum(len(lane) for lane in self.lanes.values())

    @property
    def taken(self) -> int:
        """Notifications that were offered from outside, repeats too."""
        return self.counters["offered"] + self.counters["repeated"] - self.counters["fell_back"]

    @property
    def unaccounted(self) -> int:
        """Deliveries that were offered and neither wait nor were settled: anything but 0 is a defect."""
        return self.counters["offered"] - sum(self.counters[fate] for fate in FATES) - len(self)

    # -- in

    def offer(self, records: Iterable[NotificationRecord], now_ms: int) -> None:
        """Take notifications, in order. One whose id is pending or settled already is not taken again."""
        self._clock(now_ms)
        for record in records:
            self._offer(record, ())

    def learn(self, record: NotificationRecord) -> None:
        """What the notifications topic knows of a delivery: one that is settled there is not sent again."""
        if record.status not in SETTLED or record.notification_id in self.settled_ids:
            return
        self.settled_ids.add(record.notification_id)
        lane = self.lanes.get(record.channel)
        entry = lane.find(record.notification_id) if lane else None
        if lane is not None and entry is not None:
            lane.remove(entry)
            self.counters["learned"] += 1

    def _offer(self, record: NotificationRecord, came: tuple[str, ...]) -> None:
        lane = self.lanes.get(record.channel)
        name = record.notification_id
        if name in self.settled_ids or (lane is not None and lane.find(name) is not None):
            self.counters["repeated"] += 1
            return
        self.counters["offered"] += 1
        if lane is None:
            self._settled(record, "failed", f"no channel {record.channel!r} is configured", "unknown_channel")
            return
        self._supersede(lane, record)
        self.sequence += 1
        entry = Entry(record, self.sequence, self.now_ms, self.now_ms, came)
        self._changed(dataclasses.replace(record, status="pending"))
        if record.action in TELLING:
            self.told.add(_pair(record.channel, record.dedup_key))
        lane.add(entry)
        if len(lane) > lane.policy.pending_max:
            self._make_room(lane)
        if _pair(lane.name, record.dedup_key) in self.elsewhere and lane.find(name) is not None:
            self._hand_over(lane, entry, "its incident went there")

    def _supersede(self, lane: Lane, record: NotificationRecord) -> None:
        """An update that nobody was sent is void once there is a newer one, or the end."""
        if record.action not in ("update", "resolve"):
            return
        for entry in lane.queue(record.dedup_key):
            if entry.record.action == "update" and not entry.attempts:
                lane.remove(entry)
                self._settled(entry.record, "abandoned", f"superseded by {record.notification_id}", "superseded")

    def _make_room(self, lane: Lane) -> None:
        least = lane.least()
        if least is not None:
            lane.remove(least)
            self._abandon(least, f"more than {lane.policy.pending_max} deliveries wait for this channel", "overflow")

    # -- out

    def begin(self, now_ms: int) -> list[Attempt]:
        """Every attempt that is due. Each has to be settled; one that is not counts as lost after its lease."""
        self._clock(now_ms)
        self._sweep()
        begun: list[Attempt] = []
        for lane in self.lanes.values():
            for entry in lane.begin(self.now_ms):
                record = dataclasses.replace(entry.record, status="pending", attempts=entry.attempts)
                memo = self.memos.get(_pair(lane.name, record.dedup_key), "")
                before = Before(entry.attempts, entry.unsure, memo, entry.memo)
                begun.append(Attempt(record, entry.attempts, lane.policy.timeout_ms, before))
        self.counters["attempts"] += len(begun)
        return begun

    def next_ms(self, now_ms: int) -> int | None:
        """When to call `begin` again, unless something is offered or settled before; None: nothing waits."""
        if not len(self):
            return None
        times = [lane.next_ms(now_ms) for lane in self.lanes.values() if len(lane)]
        return min([max(now_ms, self._sweep_ms), *(time for time in times if time is not None)])

    def settle(self, attempt: Attempt, outcome: Outcome, now_ms: int) -> None:
        """What came of an attempt. Of one that was given up for lost, only good news counts."""
        self._clock(now_ms)
        lane = self.lanes.get(attempt.notification.channel)
        entry = lane.find(attempt.notification.notification_id) if lane else None
        if lane is None or entry is None:
            self.counters["settled_late"] += 1
            return
        current = entry.lease_ms != 0 and entry.attempts == attempt.number
        if not current and not isinstance(outcome, Delivered):
            self.counters["settled_late"] += 1
            return
        self._outcome(lane, entry, outcome)

    def _outcome(self, lane: Lane, entry: Entry, outcome: Outcome) -> None:
        record = dataclasses.replace(entry.record, attempts=entry.attempts)
        if isinstance(outcome, Delivered):
            lane.answered()
            lane.remove(entry)
            delivered = dataclasses.replace(
                record, delivered_ms=self.now_ms, response=shortened(outcome.detail, limits.DETAIL_CHARS_MAX)
            )
            self._settled(delivered, "delivered", record.last_error, "delivered")
            self._remember(delivered, outcome)
            return
        error = f"{outcome.category.value}: {shortened(outcome.detail, limits.DETAIL_CHARS_MAX)}"
        entry.record = dataclasses.replace(record, last_error=error)
        self.counters[f"failed_{outcome.category.value}"] += 1
        if isinstance(outcome, Rejected):
            if outcome.category is not Category.UNSENDABLE:
                lane.answered()
            lane.remove(entry)
            self._settled(entry.record, "failed", error, "rejected")
            self._hand_over(lane, entry, error)
            return
        if lane.failed(entry, outcome, self.now_ms):
            self.counters["breaker_opened"] += 1
        self._changed(entry.record)

    def _remember(self, record: NotificationRecord, outcome: Delivered) -> None:
        """The memo of an incident, until its end has been told."""
        self.counters["perhaps_twice"] += outcome.perhaps_twice
        pair = _pair(record.channel, record.dedup_key)
        self.memos.pop(pair, None)
        if outcome.memo and record.action != "resolve":
            self.memos[pair] = outcome.memo[: limits.MEMO_CHARS_MAX]
            if len(self.memos) > limits.TOLD_MAX:
                del self.memos[next(iter(self.memos))]
                self.counters["memos_forgotten"] += 1

    def drain(self) -> list[NotificationRecord]:
        """Every change since the last drain, in order."""
        found = list(self.changes)
        self.changes.clear()
        return found

    # -- time

    def _clock(self, now_ms: int) -> None:
        if now_ms < self.now_ms:
            by_ms = now_ms - self.now_ms
            self.counters["clock_set_back"] += 1
            self._sweep_ms += by_ms
            for lane in self.lanes.values():
                lane.shift(by_ms)
        self.now_ms = now_ms

    def _sweep(self) -> None:
        """What is overdue: attempts that were lost, deliveries for the fallback channel, deliveries to give up."""
        if self.now_ms < self._sweep_ms:
            return
        self._sweep_ms = self.now_ms + limits.SWEEP_MS
        for lane in list(self.lanes.values()):
            policy = lane.policy
            for entry in list(lane):
                age_ms = self.now_ms - entry.offered_ms
                if lane.find(entry.record.notification_id) is not entry:
                    continue
                if entry.lease_ms and self.now_ms >= entry.lease_ms:
                    self._outcome(lane, entry, Retry(Category.LOST, "nobody said how the attempt ended"))
                if age_ms >= policy.fallback_after_ms and entry.record.action in TELLING:
                    self._hand_over(lane, entry, entry.record.last_error or "the channel is busy")
                if age_ms >= policy.give_up_after_ms and entry.attempts and not entry.lease_ms:
                    lane.remove(entry)
                    self._abandon(entry, f"not delivered within {policy.give_up_after_ms} ms", "too_old")

    # -- the fallback channel

    def _hand_over(self, lane: Lane, entry: Entry, why: str) -> None:
        """To the fallback channel too; what follows in the same incident goes the same way. The lane keeps trying."""
        name, key = lane.policy.fallback, entry.record.dedup_key
        if not name or entry.fell_back or name in entry.came or name == lane.name:
            return
        pair = _pair(lane.name, key)
        if entry.record.action not in TELLING and pair not in self.elsewhere:
            return
        if entry.record.action in TELLING and pair not in self.elsewhere and _pair(name, key) in self.told:
            self.counters["fallback_told_already"] += 1
            entry.fell_back = True
            return
        if entry.record.action in TELLING:
            self.elsewhere.add(pair)
        followers = [other for other in lane.queue(key) if other.sequence > entry.sequence]
        for one in (entry, *followers):
            if not one.fell_back:
                one.fell_back = True
                self.counters["fell_back"] += 1
                self._offer(_copied(one.record, name, lane.name, why), (*one.came, lane.name))

    # -- settled

    def _abandon(self, entry: Entry, why: str, counter: str) -> None:
        error = f"{why}; {entry.record.last_error}" if entry.record.last_error else why
        self._settled(dataclasses.replace(entry.record, attempts=entry.attempts), "abandoned", error, counter)
        self._hand_over(self.lanes[entry.record.channel], entry, why)

    def _settled(self, record: NotificationRecord, status: Settled, error: str, counter: str) -> None:
        self.counters[counter] += 1
        self.settled_ids.add(record.notification_id)
        if status != "delivered" and record.action == "trigger":
            self.told.discard(_pair(record.channel, record.dedup_key))
        self._changed(dataclasses.replace(record, status=status, last_error=error))

    def _changed(self, record: NotificationRecord) -> None:
        self.changes.append(record)
        if len(self.changes) > limits.CHANGES_MAX:
            self.changes.popleft()
            self.counters["changes_lost"] += 1


def _pair(channel: str, dedup_key: str) -> str:
    return f"{channel}\0{dedup_key}"


def _copied(record: NotificationRecord, channel: str, instead_of: str, why: str) -> NotificationRecord:
    """The same telling through another channel, with an id of its own."""
    name = hashlib.blake2b(f"{record.notification_id}\0{channel}".encode(), digest_size=16).hexdigest()
    details = {
        **record.details,
        "fallback_for": instead_of,
        "fallback_because": shortened(why, limits.DETAIL_CHARS_MAX),
    }
    return dataclasses.replace(
        record, notification_id=name, channel=channel, details=details, status="pending", attempts=0, last_error=""
    )
