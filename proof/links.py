"""Links: what is done to the ways on which workers and sources reach the brokers.

What: one function an action, by the detour. Why: a member that is cut off and comes back is the zombie that a log must bear,
and a vehicle's way is never good. It refuses a cut that held nothing back, and a bad way on which no connection broke.
"""

from __future__ import annotations

import time
from typing import cast

from proof.detour import Direction
from proof.faults import Step
from proof.harm import Harm, Unexpected
from proof.intent import burst
from proof.way import Way

DELAY_S, BYTES_PER_S = 0.2, 8_000.0
UP_S = 5.0  # between two tunnels


class Links(Harm):
    """Faults of the network."""

    def _do_cut(self, step: Step) -> int:
        """A worker to and from whom nothing passes for a while, one way or both; what was held back arrives afterwards."""
        name, _, direction = step.target.partition("=")
        field = self.field
        self._restarted(name, {"TOCSIN_BOOTSTRAP": field.detour.bootstrap})
        held, since = self._victim(name), time.monotonic()
        ways: tuple[Direction, ...] = ("up", "down") if direction == "both" else (cast("Direction", direction),)
        field.detour.cut(*ways)
        way = Way(field, since, held)
        self._meanwhile(step.seconds, way)
        held_back, stale = [field.detour.held_bytes(one) for one in ways], field.watch.writers.stale
        field.detour.heal()
        self._arrive(way)
        self._recover()
        self._zombies(stale)
        field.tally(bytes_held_by_a_cut=sum(held_back))
        if not all(held_back):
            raise Unexpected(f"{Unexpected.__doc__}: nothing was held back on a way that was cut: {held_back} bytes")
        return 1

    def _do_slow_link(self, step: Step) -> int:
        """A source behind a slow, narrow link that breaks each second: everything that it sends arrives, once."""
        field, ends = self.field, time.monotonic() + step.seconds
        before, sent = field.detour.broken, 0
        field.detour.slow(DELAY_S, BYTES_PER_S)
        source = field.load.far(field.detour.bootstrap, f"vehicle-{self._boot()}")
        while time.monotonic() < ends:
            burst(source, 20, 0)
            sent += 20
            field.during(1.0)
            field.detour.break_off()
        field.detour.heal()
        field.until("what the vehicle sent", lambda: source.stats.delivered >= sent)
        self._recover()
        broken = field.detour.broken - before
        if not broken:
            raise Unexpected(f"{Unexpected.__doc__}: no connection was broken")
        return broken

    def _do_tunnel(self, step: Step) -> int:
        """A source whose way is there for a few seconds, and gone for longer, so many times over: all that it measured arrives,
        once."""
        field, sent = self.field, 0
        source = field.load.far(field.detour.bootstrap, f"vehicle-{self._boot()}")
        for _ in range(step.count):
            for seconds, gone in ((UP_S, False), (step.seconds, True)):
                if gone:
                    field.detour.cut("up", "down")
                ends = time.monotonic() + seconds
                while time.monotonic() < ends:
                    burst(source, 20, 0)
                    sent += 20
                    field.during(min(1.0, seconds))
                if gone and not field.detour.held_bytes("up"):
                    raise Unexpected(f"{Unexpected.__doc__}: a vehicle sent nothing in its tunnel")
                field.detour.heal()
        field.until("what the vehicle sent", lambda: source.stats.delivered >= sent)
        self._recover()
        return step.count
