"""Way: how long it takes until something that is sent after a fault has been taken in.

What: a probe to each partition, sent when it is made; `open` notes which have come. Why: recovery is measured from the kill,
of the partitions that the dead one held, on measurements that nobody had when it died. It refuses to wait: `Field.until` does.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from proof.field import PARTITIONS, Field
from proof.probes import Probes


class Way:
    """Measurements sent at its making, one to each partition, and what became of them. `held`: partitions that the dead
    one held; `recovered_s`: of those, the seconds from `since` until theirs had come out; `probes`: other sources."""

    def __init__(
        self, field: Field, since: float = 0.0, held: Collection[int] = (), probes: Probes | None = None
    ) -> None:
        self._probes, self.since, self.held = probes or field.probes, since, held
        self._number, self._waiting = self._probes.send(), set(range(PARTITIONS))
        self.recovered_s: list[float] = []

    def open(self) -> bool:
        """Whether all of them have come out."""
        came = self._probes.came(self._number) & self._waiting
        self.recovered_s += [time.monotonic() - self.since] * len(came.intersection(self.held))
        self._waiting -= came
        return not self._waiting
