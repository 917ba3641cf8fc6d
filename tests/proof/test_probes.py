"""Probes: one for each partition, merged where it was sent to, and seen when a rollup is at least as high."""

from __future__ import annotations

from proof.intent import partition_of, sources_on
from proof.probes import METRIC, Probes, definition_on

PARTITIONS = 4


class Instrument:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def gauge(self, name: str) -> Instrument:
        assert name == METRIC
        return self

    def set(self, value: float) -> None:
        self.told.append(value)


class Loading:
    """Hands out such sources."""

    def __init__(self) -> None:
        self.sources: dict[str, Instrument] = {}

    def client(self, service: str, source: str, flush_interval: float) -> Instrument:
        return self.sources.setdefault(source, Instrument())


class Watching:
    """What came out."""

    def __init__(self) -> None:
        self.highest: dict[bytes, float] = {}


def test_sources_lie_where_they_are_asked_to() -> None:
    for partition in range(PARTITIONS):
        found = sources_on(partition, PARTITIONS, "steady", 3)
        assert len(set(found)) == 3
        assert {partition_of(source, PARTITIONS) for source in found} == {partition}
        assert definition_on(partition, PARTITIONS).id % PARTITIONS == partition


def test_a_probe_has_come_when_a_rollup_is_as_high_as_its_number() -> None:
    load, watch = Loading(), Watching()
    probes = Probes(load, watch, PARTITIONS)  # type: ignore[arg-type]  # as far as they are needed
    first, second = probes.send(), probes.send()
    assert [one.told for one in load.sources.values()] == [[1.0, 2.0]] * PARTITIONS
    assert probes.came(first) == set()
    watch.highest[definition_on(2, PARTITIONS).canonical()] = 1.0
    assert (probes.came(first), probes.came(second)) == ({2}, set())
    watch.highest[definition_on(2, PARTITIONS).canonical()] = 2.0
    assert (probes.came(first), probes.came(second)) == ({2}, {2})
