"""Harm: what every fault needs: the field, chance, and the wait until measurements sent after it come out.

What: the base of all that acts on a field. Why: a recovery means the same whatever went wrong. It refuses to know any fault.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Collection, Mapping

from proof.field import Field
from proof.way import Way


class Unexpected(AssertionError):
    """Something that must not be was found"""


class Harm:
    """Acts on a field. `recovered_s`: of each kill and partition that the dead one held, how long it took from the kill
    until a measurement that was sent after it had come out. `injected`: faults that did happen."""

    def __init__(self, field: Field, seed: int) -> None:
        self.field, self.rng, self.begun = field, random.Random(seed), time.monotonic()
        self.recovered_s: list[float] = []
        self.injected = 0

    def _recover(self, since: float = 0.0, held: Collection[int] = ()) -> None:
        """Wait until what is sent from now on comes out, of every partition."""
        self._arrive(Way(self.field, since, held))

    def _arrive(self, way: Way) -> None:
        self.field.until("what was sent after the fault", way.open)
        self.recovered_s += way.recovered_s

    def _meanwhile(self, seconds: float, way: Way) -> None:
        """Let it run for so long, and note what arrives."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.field.tend()
            way.open()

    def _victim(self, name: str) -> set[int]:
        """Partitions of a worker that is going to die: it must hold some, or its death would show nothing."""
        self.field.until(f"all at work before {name} dies", self.field.at_work)
        return {partition for _, partition in self.field.held(name)}

    def _restarted(self, name: str, own: Mapping[str, str]) -> None:
        """End a worker in good order; it starts again with settings of its own, and holds something."""
        field = self.field
        field.resting.add(name)
        os.kill(field.workers.pid(name), signal.SIGTERM)
        field.until(f"the end of {name}", lambda: name not in field.workers.names)
        field.start(name, own=own)
        field.resting.discard(name)
        field.until("all at work again", field.at_work)

    def _zombies(self, before: int) -> None:
        """What a worker that was replaced has written since then, behind its successor."""
        self.field.tally(zombie_records=self.field.watch.writers.stale - before)

    def _boot(self) -> str:
        """A name that nothing has had."""
        return f"h{self.rng.getrandbits(32):08x}"
