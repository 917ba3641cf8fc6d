"""Event-time progress of one source partition, by kind of source.

What: watermark = highest event time seen + idle time - lateness; it never goes back. Idle time counts only while the
partition is caught up and nothing of the kind came for IDLE_AFTER_MS, so that blocked time (a rebalance, a replay) is
not idle time. Why: an idle partition must still close its panes, and a fast replay must move with the data only.
The rule is Bytewax's event clock (max + (now - arrival) - wait). Only intervals count: a clock that says less than before,
since another worker goes on with the state, takes the times of the last arrivals along (decision 13). It refuses to read a
clock: `tick` is told the time.
"""

from __future__ import annotations

from collections.abc import Sequence

from rollups.limits import IDLE_AFTER_MS, NEVER, PANE_MS, SOURCE_KINDS, Lateness

Times = tuple[int, int, int, int]


class Watermarks:
    """Four kinds, int ms each. NEVER stands for "no time yet"."""

    def __init__(self, lateness: Lateness) -> None:
        self.lateness = lateness
        self.now_ms = NEVER
        self.max_event_ms = [NEVER] * SOURCE_KINDS
        self._arrival_ms = [NEVER] * SOURCE_KINDS
        self._fresh = [False] * SOURCE_KINDS
        self._value = [NEVER] * SOURCE_KINDS

    def observe(self, kind: int, event_ms: int) -> None:
        """Measurements of the kind were applied; `event_ms` is the highest event time among them."""
        self.max_event_ms[kind] = max(self.max_event_ms[kind], event_ms)
        self._fresh[kind] = True

    def shift(self, by_ms: int) -> None:
        """The clock is another one, which says so much more (or less, below 0) of the same moment."""
        self.now_ms += by_ms
        self._arrival_ms = [at if at == NEVER else at + by_ms for at in self._arrival_ms]

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Time moved on to `now_ms`. Not caught up: the time since the last tick is nobody's idle time."""
        self.now_ms = now = max(self.now_ms, now_ms)
        for kind in range(SOURCE_KINDS):
            if self._fresh[kind] or not caught_up or self._arrival_ms[kind] == NEVER:
                self._arrival_ms[kind] = now
                self._fresh[kind] = False
            if not caught_up:
                continue
            idle = now - self._arrival_ms[kind]
            seen = self.max_event_ms[kind] != NEVER
            base = self.max_event_ms[kind] + (idle if idle >= IDLE_AFTER_MS else 0) if seen else now
            self._value[kind] = max(self._value[kind], base - self.lateness.lateness_ms[kind])

    def current(self) -> Times:
        """Watermark of each kind, with everything observed so far."""
        for kind, event_ms in enumerate(self.max_event_ms):
            if event_ms != NEVER:
                self._value[kind] = max(self._value[kind], event_ms - self.lateness.lateness_ms[kind])
        return times(self._value)

    def closed_before(self, kind: int) -> int:
        """Panes that start before this are complete: their end + grace is not above the watermark."""
        watermark = self.current()[kind]
        return NEVER if watermark == NEVER else (watermark - self.lateness.grace_ms) // PANE_MS * PANE_MS

    def state(self) -> dict[str, list[int]]:
        """For a snapshot: integers by name."""
        return {
            "now": [self.now_ms],
            "max_event": self.max_event_ms,
            "arrival": self._arrival_ms,
            "fresh": [int(fresh) for fresh in self._fresh],
            "value": self._value,
        }

    def load(self, state: dict[str, list[int]]) -> None:
        """Inverse of `state`. Raises KeyError or ValueError when it is not one."""
        self.now_ms = state["now"][0]
        self.max_event_ms = list(times(state["max_event"]))
        self._arrival_ms = list(times(state["arrival"]))
        self._fresh = [bool(fresh) for fresh in times(state["fresh"])]
        self._value = list(times(state["value"]))


def times(values: Sequence[int]) -> Times:
    """Exactly four integers; ValueError otherwise."""
    web, desktop, vehicle, other = values
    return web, desktop, vehicle, other
