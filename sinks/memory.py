"""Memory: a destination inside this process; the shipped fake, held to the same contract as the real ones.

What: a sink, and the exchange that plays its receiver: takes what it is sent, answers what it is told to answer. Why
shipped: tests of others need one too. It refuses to forget: everything that arrived is there to be looked at, in order.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable

from schemas.records import NotificationRecord
from sinks import limits
from sinks.port import Answer, Outcome, Question, Request, Response, Unsendable
from sinks.status import outcome_of

ACTIONS = frozenset({"trigger", "update", "acknowledge", "resolve"})


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """A sink whose requests carry the notification as plain JSON."""

    address: str = "memory:"

    def request(self, notification: NotificationRecord) -> Request:
        """The notification's fields as JSON."""
        if notification.action not in ACTIONS:
            raise Unsendable(f"unknown action {notification.action!r}")
        fields = {**dataclasses.asdict(notification), "details": dict(notification.details)}
        return Request(
            "POST", self.address, {"idempotency-key": notification.notification_id}, json.dumps(fields).encode()
        )

    def outcome(self, answer: Answer) -> Outcome:
        """As over HTTP."""
        return outcome_of(answer)


class MemoryReceiver:
    """The far end, as an exchange. `arrivals`: every request; `taken`: those that had an effect."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: 0) -> None:
        self.arrivals: collections.deque[dict[str, object]] = collections.deque(maxlen=limits.FAKE_ARRIVALS_MAX)
        self.taken: collections.deque[dict[str, object]] = collections.deque(maxlen=limits.FAKE_ARRIVALS_MAX)
        self._script: collections.deque[tuple[Answer, bool]] = collections.deque()
        self._clock_ms = clock_ms

    def answers(self, answer: Answer, taking: bool = False) -> None:
        """The next request gets this answer; `taking`: and is taken nevertheless. Without a script all are taken."""
        self._script.append((answer, taking))

    async def __call__(self, request: Question, timeout_s: float) -> Answer:
        """Play the receiver."""
        assert isinstance(request, Request)
        fields: dict[str, object] = json.loads(request.body)
        self.arrivals.append(fields)
        answer, taking = self._script.popleft() if self._script else (None, True)
        if taking or (isinstance(answer, Response) and 200 <= answer.status < 300):
            self.taken.append(fields)
        return answer or Response(202, {}, b"taken", self._clock_ms())
