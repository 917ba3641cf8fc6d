"""A random life of the outbox against a receiver that misbehaves; `test_outbox` runs it. Refuses to know the inside."""

from __future__ import annotations

import collections

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.records import NotificationRecord
from sinks.lane import Policy
from sinks.outbox import Attempt, Outbox
from sinks.outbox_state import restore, snapshot
from sinks.port import Category, Delivered, Rejected, Retry
from tests.sinks.build import notification

T0 = 1_700_000_000_000
OK = Delivered("202")
DOWN = Retry(Category.SERVER_ERROR, "HTTP 503")
LATER = Retry(Category.RATE_LIMITED, "HTTP 429", 20_000)
NEVER = Rejected(Category.REFUSED, "HTTP 400")


class Misbehaving(RuleBasedStateMachine):
    """Random offers, answers, losses, restarts and clocks; order, limits and conservation are held at every step."""

    POLICY = Policy(in_flight=3, per_minute=10, fallback="team", timeout_ms=2_000, breaker_failures=3)

    @initialize()
    def begin(self) -> None:
        self.box = self.new()
        self.now = T0
        self.number = 0
        self.flying: list[Attempt] = []
        self.delivered: set[str] = set()
        self.offered: set[str] = set()
        self.sent: collections.deque[int] = collections.deque()
        self.paused = 0
        self.last: dict[str, NotificationRecord] = {}

    def new(self) -> Outbox:
        return Outbox({"pager": self.POLICY, "team": Policy(in_flight=2)})

    @rule(
        incident=st.sampled_from("abc"),
        action=st.sampled_from(["trigger", "update", "acknowledge", "resolve"]),
        page=st.booleans(),
    )
    def offer(self, incident: str, action: str, page: bool) -> None:
        self.number += 1
        record = notification(f"n{self.number}", incident, action, severity="page" if page else "ticket")
        self.box.offer([record, record], self.now)
        self.offered.add(record.notification_id)

    @rule(step=st.sampled_from([1, 300, 1_000, 2_500, 10_000, 40_000]))
    def wait(self, step: int) -> None:
        self.now += step

    @rule()
    def send(self) -> None:
        for attempt in self.box.begin(self.now):
            record = attempt.notification
            assert record.notification_id not in self.delivered
            for other in self.flying:
                if other.notification.channel == record.channel and other.notification.dedup_key == record.dedup_key:
                    # lost, and repeated; or repeated, and then delivered by the first try after all
                    told = {record.notification_id, *self.delivered}
                    assert other.notification.notification_id in told
            if record.channel == "pager":
                assert self.now >= self.paused
                self.sent.append(self.now)
            self.flying.append(attempt)
        while self.sent and self.sent[0] <= self.now - 60_000:
            self.sent.popleft()
        assert len(self.sent) <= self.POLICY.per_minute

    @precondition(lambda self: self.flying)
    @rule(pick=st.integers(0, 10), outcome=st.sampled_from([OK, OK, DOWN, LATER, NEVER]))
    def answer(self, pick: int, outcome: Delivered | Retry | Rejected) -> None:
        attempt = self.flying.pop(pick % len(self.flying))
        before = self.box.counters["settled_late"]
        self.box.settle(attempt, outcome, self.now)
        if isinstance(outcome, Delivered):
            self.delivered.add(attempt.notification.notification_id)
        elif (
            outcome == LATER and attempt.notification.channel == "pager" and self.box.counters["settled_late"] == before
        ):
            self.paused = max(self.paused, self.now + 20_000)

    @precondition(lambda self: self.flying)
    @rule()
    def forget(self) -> None:
        self.flying.pop()

    @rule()
    def restart(self) -> None:
        data = snapshot(self.box)
        fresh = self.new()
        restore(fresh, data)
        pending = [[entry.record.notification_id for entry in lane] for lane in self.box.lanes.values()]
        assert [[entry.record.notification_id for entry in lane] for lane in fresh.lanes.values()] == pending
        assert all(not entry.lease_ms for lane in fresh.lanes.values() for entry in lane)
        again = self.new()
        restore(again, snapshot(fresh))
        assert snapshot(again) == snapshot(fresh)
        self.box, self.flying = fresh, []

    @rule()
    def learn(self) -> None:
        for record in self.box.drain():
            self.last[record.notification_id] = record

    @invariant()
    def everything_is_accounted_for(self) -> None:
        box = self.box
        ended = ("delivered", "rejected", "too_old", "overflow", "superseded", "unknown_channel", "learned")
        assert box.counters["offered"] == len(box) + sum(box.counters[name] for name in ended)
        assert box.unaccounted == 0
        assert all(lane.flying == sum(bool(entry.lease_ms) for entry in lane) for lane in box.lanes.values())
        assert all(lane.flying <= lane.policy.in_flight for lane in box.lanes.values())

    def teardown(self) -> None:
        if not hasattr(self, "box"):
            return
        for attempt in self.flying:
            self.box.settle(attempt, DOWN, self.now)
        for _ in range(10_000):
            if not len(self.box):
                break
            next_ms = self.box.next_ms(self.now)
            assert next_ms is not None
            self.now = max(self.now + 1, next_ms)
            for attempt in self.box.begin(self.now):
                self.box.settle(attempt, OK, self.now)
        assert len(self.box) == 0, "it comes to rest once the receiver behaves"
        self.learn()
        assert self.offered <= set(self.last)
        assert all(record.status != "pending" for record in self.last.values())
