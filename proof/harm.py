"""Harm: what every fault needs: the field, chance, and the wait until measurements sent after it come out.

What: the base of all that acts on a field. Why: a recovery means the same whatever went wrong. It refuses to know any fault.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection

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

    def _boot(self) -> str:
        """A name that nothing has had."""
        return f"h{self.rng.getrandbits(32):08x}"
