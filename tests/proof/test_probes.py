"""Probes: one for each partition, evaluated where it was sent to, and taken in when the partials count so many."""

from __future__ import annotations

from proof.intent import METRIC, partition_of, sources_on
from proof.probes import Probes, group_on

PARTITIONS = 4


class Instrument:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told = 0

    def outcome(self, name: str) -> Instrument:
        assert name == METRIC
        return self

    def observe(self, good: bool, value: float) -> None:
        assert good
        self.told += 1


class Loading:
    """Hands out such sources."""

    def __init__(self) -> None:
        self.sources: dict[str, Instrument] = {}

    def client(self, service: str, source: str, flush_interval: float) -> Instrument:
        return self.sources.setdefault(source, Instrument())


class Watching:
    """What was taken in."""

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}

    def follow(self, group: bytes) -> None:
        self.known[group] = 0

    def counted(self, group: bytes) -> int:
        return self.known[group]


def test_sources_lie_where_they_are_asked_to() -> None:
    for partition in range(PARTITIONS):
        found = sources_on(partition, PARTITIONS, "steady", 3)
        assert len(set(found)) == 3
        assert {partition_of(source, PARTITIONS) for source in found} == {partition}
        assert group_on("s", partition, PARTITIONS).id % PARTITIONS == partition


def test_a_probe_has_come_when_so_many_were_counted() -> None:
    load, watch = Loading(), Watching()
    probes = Probes(load.client, watch, "s", PARTITIONS)  # type: ignore[arg-type]  # as far as they are needed
    first, second = probes.send(), probes.send()
    assert [one.told for one in load.sources.values()] == [2] * PARTITIONS
    assert probes.came(first) == set()
    watch.known[group_on("s", 2, PARTITIONS).canonical()] = 1
    assert (probes.came(first), probes.came(second)) == ({2}, set())
    watch.known[group_on("s", 2, PARTITIONS).canonical()] = 2
    assert (probes.came(first), probes.came(second)) == ({2}, {2})
