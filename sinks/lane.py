"""Lane: what waits for one channel, and which of it may go now.

What: deliveries in order, back-off, pause, breaker, budget, attempts in flight. Order is kept within an incident (a
resolution never overtakes its trigger) and given up between incidents, so that one that is stuck does not hold up the
others; pages go before tickets. Cost of a step: logarithmic in what waits. It refuses to read a clock and to judge what
an answer means.
"""

from __future__ import annotations

import collections
import dataclasses
import heapq
from collections.abc import Iterator

from schemas.records import NotificationRecord
from sinks import limits
from sinks.breaker import Breaker
from sinks.budget import Budget
from sinks.port import AMBIGUOUS, Category, Retry
from sinks.retry import Backoff

#: Failures that say something about the service, and not about the request.
SERVICE_FAILURES = frozenset(
    {Category.TIMEOUT, Category.UNREACHABLE, Category.TLS, Category.BROKEN, Category.SERVER_ERROR, Category.LOST}
)
#: What is given up first when there is no room. A resolution that is lost leaves a page open: it goes last.
DROP_ORDER = ("update", "trigger", "acknowledge", "resolve")
RANKS = ("page", "ticket")


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """How a channel is used. Times in ms; `per_minute` 0: no limit; `fallback` "": none."""

    in_flight: int = 4
    per_minute: int = 0
    timeout_ms: int = 10_000
    fallback: str = ""
    fallback_after_ms: int = 30_000
    give_up_after_ms: int = 24 * 3_600_000
    pending_max: int = limits.PENDING_MAX
    breaker_failures: int = 5
    breaker_open_ms: int = 10_000
    backoff: Backoff = dataclasses.field(default_factory=Backoff)

    def shared(self, by: int) -> Policy:
        """The part of one of `by` outboxes that use the same channel: the limit per minute is divided."""
        return dataclasses.replace(self, per_minute=max(1, self.per_minute // by) if self.per_minute else 0)


@dataclasses.dataclass(slots=True)
class Entry:
    """One delivery that is not settled. Times in ms."""

    record: NotificationRecord
    sequence: int
    offered_ms: int
    next_ms: int
    came: tuple[str, ...] = ()  # channels that handed it over, in order
    attempts: int = 0
    lease_ms: int = 0  # an attempt under way is lost after this; 0: none is under way
    fell_back: bool = False
    unsure: bool = False  # an attempt that ended without word may have been taken
    memo: str = ""  # what its destination wants to be reminded of at the next attempt

    @property
    def rank(self) -> int:
        """0 for pages, which go first."""
        return RANKS.index(self.record.severity) if self.record.severity in RANKS else len(RANKS)

    @property
    def worth(self) -> tuple[int, int, int]:
        """The least is given up first: kind, then severity, then the newest."""
        kind = DROP_ORDER.index(self.record.action) if self.record.action in DROP_ORDER else 0
        return kind, -self.rank, -self.sequence


class Lane:
    """The deliveries of one channel."""

    def __init__(self, name: str, policy: Policy) -> None:
        self.name, self.policy = name, policy
        self.breaker = Breaker(policy.breaker_failures, policy.breaker_open_ms, policy.breaker_open_ms * 12)
        self.budget = Budget(policy.per_minute)
        self.paused_ms = 0  # no attempt before: the receiver said so
        self.flying = 0
        self._entries: dict[str, Entry] = {}  # by notification id
        self._queues: dict[str, collections.deque[Entry]] = {}  # by dedup key
        self._waiting: list[tuple[int, int, str]] = []  # (next_ms, sequence, id) of heads
        self._ready: list[tuple[int, int, str]] = []  # (rank, sequence, id) of heads

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """In the order in which they were offered."""
        return iter(self._entries.values())

    def find(self, notification_id: str) -> Entry | None:
        """The delivery of that id, unless it is settled."""
        return self._entries.get(notification_id)

    def queue(self, dedup_key: str) -> tuple[Entry, ...]:
        """What waits for one incident, in order."""
        return tuple(self._queues.get(dedup_key, ()))

    # -- in and out

    def add(self, entry: Entry) -> None:
        """Behind everything else of its incident."""
        self._entries[entry.record.notification_id] = entry
        queue = self._queues.setdefault(entry.record.dedup_key, collections.deque())
        queue.append(entry)
        if len(queue) == 1:
            self._lead(entry)

    def remove(self, entry: Entry) -> None:
        """It is settled, or given up; the next of its incident moves up."""
        key = entry.record.dedup_key
        del self._entries[entry.record.notification_id]
        if entry.lease_ms:
            self.breaker.probing = False
        self._land(entry)
        queue = self._queues[key]
        was_head = queue[0] is entry
        queue.remove(entry)
        if not queue:
            del self._queues[key]
        elif was_head:
            self._lead(queue[0])

    def least(self) -> Entry | None:
        """What to give up when there is no room; nothing that is under way."""
        idle = [entry for entry in self._entries.values() if not entry.lease_ms]
        return min(idle, key=lambda entry: entry.worth, default=None)

    def _lead(self, head: Entry) -> None:
        heapq.heappush(self._waiting, (head.next_ms, head.sequence, head.record.notification_id))

    def _idle(self, notification_id: str, sequence: int) -> Entry | None:
        """The entry that a heap's item stands for, unless it is under way, settled or another one by now."""
        entry = self._entries.get(notification_id)
        return None if entry is None or entry.sequence != sequence or entry.lease_ms else entry

    # -- attempts

    def begin(self, now_ms: int) -> list[Entry]:
        """Begin every attempt that may begin now."""
        self._ripen(now_ms)
        begun: list[Entry] = []
        while self._ready:
            rank, sequence, name = self._ready[0]
            entry = self._idle(name, sequence)
            if entry is not None and self._gate(now_ms, urgent=rank == 0) != now_ms:
                break
            heapq.heappop(self._ready)
            if entry is None:
                continue
            self.breaker.began()
            self.budget.spend(now_ms)
            self.flying += 1
            entry.attempts += 1
            entry.lease_ms = now_ms + self.policy.timeout_ms + limits.LEASE_SLACK_MS
            begun.append(entry)
        return begun

    def _ripen(self, now_ms: int) -> None:
        """Heads whose time has come, from `_waiting` to `_ready`."""
        while self._waiting and (self._waiting[0][0] <= now_ms or self._stale(self._waiting[0])):
            next_ms, sequence, name = heapq.heappop(self._waiting)
            entry = self._idle(name, sequence)
            if entry is not None and entry.next_ms == next_ms:
                heapq.heappush(self._ready, (entry.rank, sequence, name))

    def _stale(self, item: tuple[int, int, str]) -> bool:
        entry = self._idle(item[2], item[1])
        return entry is None or entry.next_ms != item[0]

    def _gate(self, now_ms: int, urgent: bool) -> int | None:
        """When the lane lets an attempt begin: `now_ms`, later, or None: when one that is under way has ended."""
        if self.flying >= self.policy.in_flight or self.breaker.probing:
            return None
        opens = max(now_ms, self.paused_ms, self.breaker.until_ms)
        return max(opens, self.budget.free_at(now_ms, urgent))

    def next_ms(self, now_ms: int) -> int | None:
        """When `begin` may have something to do; None: not before an attempt under way has ended, or never."""
        self._ripen(now_ms)
        if self._ready:
            return self._gate(now_ms, urgent=self._ready[0][0] == 0)
        return self._waiting[0][0] if self._waiting else None

    # -- what came of an attempt

    def _land(self, entry: Entry) -> None:
        """The entry is under way no longer."""
        if entry.lease_ms:
            entry.lease_ms = 0
            self.flying -= 1

    def answered(self) -> None:
        """The service works, whatever it said."""
        self.breaker.succeeded()

    def failed(self, entry: Entry, why: Retry, now_ms: int) -> bool:
        """Wait, and let others wait where the service itself is the cause. Whether that opened the breaker."""
        self._land(entry)
        entry.unsure = entry.unsure or (why.category in AMBIGUOUS and not why.sure)
        entry.memo = why.memo[: limits.MEMO_CHARS_MAX] or entry.memo
        entry.next_ms = now_ms + self.policy.backoff.wait_ms(entry.record.notification_id, entry.attempts, why.after_ms)
        self._lead(entry)
        if why.category is Category.RATE_LIMITED:
            self.breaker.succeeded()
            self.paused_ms = max(self.paused_ms, entry.next_ms)
            return False
        if why.category is Category.DEFERRED:
            self.breaker.succeeded()
            return False
        if why.after_ms is not None:
            self.paused_ms = max(self.paused_ms, now_ms + why.after_ms)
        if why.category in SERVICE_FAILURES:
            return self.breaker.failed(now_ms)
        self.breaker.probing = False
        return False

    # -- the clock

    def shift(self, by_ms: int) -> None:
        """The clock was set back by `-by_ms`: all times move with it, so that nothing waits for the old time."""
        for entry in self._entries.values():
            entry.offered_ms += by_ms
            entry.next_ms += by_ms
            entry.lease_ms += by_ms if entry.lease_ms else 0
        self.paused_ms += by_ms
        self.breaker.until_ms += by_ms if self.breaker.until_ms else 0
        self.budget.sent = collections.deque(at + by_ms for at in self.budget.sent)
        self._waiting = [(next_ms + by_ms, sequence, name) for next_ms, sequence, name in self._waiting]
