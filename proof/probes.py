"""Probes: measurements whose way from a source to a rollup is timed, one source for each partition.

What: a source for each partition of the telemetry, whose one series is also merged on the partition of that number; the
value of a probe is its number, so a rollup whose highest value is at least that number holds it. Why: a service is back
when something that was sent after the kill has come out, of each partition that the dead one held. It refuses to guess
from a worker's own word: what counts is a row of the rollups topic. Where a series is merged is asked of the product's
hash, since that steers only which series is sent, and judges nothing.
"""

from __future__ import annotations

from tocsin import Client

from proof.intent import Load, sources_on
from proof.oracle import Watch
from schemas.records import MeasureKind, SeriesDefinition, SourceKind

METRIC = "proof.probe"
FLUSH_S = 0.02


def definition_on(partition: int, partitions: int) -> SeriesDefinition:
    """A series of the probes' metric that is merged on that partition."""
    number = 0
    while True:
        labels = {"service": f"probe-{number}"}
        found = SeriesDefinition(METRIC, MeasureKind.GAUGE, "1", SourceKind.WEB, labels)
        if found.id % partitions == partition:
            return found
        number += 1


class Probes:
    """The sources, and what came out of them."""

    def __init__(self, load: Load, watch: Watch, partitions: int) -> None:
        self._watch, self._number = watch, 0
        self._clients: dict[int, Client] = {}
        self._definitions: dict[int, bytes] = {}
        for partition in range(partitions):
            definition = definition_on(partition, partitions)
            (source,) = sources_on(partition, partitions, "probe", 1)
            self._clients[partition] = load.client(definition.labels["service"], source=source, flush_interval=FLUSH_S)
            self._definitions[partition] = definition.canonical()
            watch.highest[definition.canonical()] = 0.0

    def send(self) -> int:
        """One to each partition, now; its number."""
        self._number += 1
        for client in self._clients.values():
            client.gauge(METRIC).set(float(self._number))
        return self._number

    def came(self, number: int) -> set[int]:
        """Partitions of which that one, or a later one, has come out."""
        return {place for place, name in self._definitions.items() if self._watch.highest[name] >= number}
