"""Lines: the demo where there is no screen, one line for each thing that happened.

What: `Lines.new` says what has come since it was asked before: what is being done, what people were told, how an objective's
state changed, and how it all goes every ten seconds. Why: a pipe, a log of CI or a container shows no live screen, and
should not be silent. It refuses to decide anything: each line is a record, or the board's header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from demo.view import Board, clock, header

HEARTBEAT_MS = 10_000


class Lines:
    """What was said already."""

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}
        self._states: dict[object, str] = {}
        self._told: set[str] = set()
        self._next_ms = 0

    def new(self, board: Board, now_ms: int, phases: Sequence[tuple[str, str]]) -> Iterator[str]:
        """`phases`: of each thing that is done to it (what, to come | now | over)."""
        for what, phase in phases:
            if self._phases.get(what) != phase:
                self._phases[what] = phase
                yield f"{clock(now_ms)} {phase}: {what}"
        for key, status in sorted(board.statuses.items()):
            before = self._states.get(key, "healthy")
            self._states[key] = status.state
            if status.state != before:
                group = ", ".join(status.labels.values())
                yield f"{clock(now_ms)} {status.slo} of {group} is {status.state}, {status.budget_left:.1%} of its budget left"
        fresh = [one for name, one in board.deliveries.items() if name not in self._told]
        self._told.update(one.notification_id for one in fresh)
        for one in sorted(fresh, key=lambda one: one.delivered_ms):
            after_s = (one.delivered_ms - one.event_ms) / 1000
            yield f"{clock(one.delivered_ms)} {one.channel} was told ({one.action}, after {after_s:.1f} s): {one.summary}"
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + HEARTBEAT_MS
            yield str(header(board, now_ms))
