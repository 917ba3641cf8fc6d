"""Probes: requests whose way from a source into the platform is timed, one source for each partition.

What: a source for each partition of the telemetry, whose one SLO group is also evaluated on the partition of that number;
the probes of a group are counted, so when its sources' partials count at least n, the n-th has been taken in: aggregated,
and what came of it delivered. Why: a partition is back when something that was sent after the kill has been taken in. Not
the rollups: they leave when their ten seconds are over, which would hide a second more or less. It refuses a worker's own
word: what counts is a record of the partials topic. Where a group is evaluated is asked of the product's hash, since that
steers only which group is used, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin import Client

from proof.intent import METRIC, sources_on
from proof.oracle import Watch
from schemas.records import SloGroup

FLUSH_S = 0.02


def group_on(slo: str, partition: int, partitions: int, name: str = "probe") -> SloGroup:
    """A group of that SLO, one a service `name-N`, that is evaluated on that partition."""
    number = 0
    while True:
        found = SloGroup(slo, 0, {"service": f"{name}-{number}"})
        if found.id % partitions == partition:
            return found
        number += 1


class Probes:
    """The sources, and what came out of them. `make`: a client, from service, source and flush interval."""

    def __init__(
        self, make: Callable[[str, str, float], Client], watch: Watch, slo: str, partitions: int, name: str = "probe"
    ) -> None:
        self._watch, self._number = watch, 0
        self._clients: dict[int, Client] = {}
        self._groups: dict[int, bytes] = {}
        for partition in range(partitions):
            group = group_on(slo, partition, partitions, name)
            (source,) = sources_on(partition, partitions, name, 1)
            self._clients[partition] = make(group.labels["service"], source, FLUSH_S)
            self._groups[partition] = group.canonical()
            watch.follow(group.canonical())

    def send(self) -> int:
        """One to each partition, now; its number."""
        self._number += 1
        for client in self._clients.values():
            client.outcome(METRIC).observe(good=True, value=1.0)
        return self._number

    def came(self, number: int) -> set[int]:
        """Partitions of which that one, and all before it, has been taken in."""
        return {partition for partition, group in self._groups.items() if self._watch.counted(group) >= number}
