"""Workloads: whose series are whose, and sequences without a hole.

What: made events before they are sent. Why: a hole or a repeat would be counted as a loss or a duplicate of the product.
It refuses a broker.
"""

from __future__ import annotations

import numpy as np

from bench.workloads import PARTITIONS, ROUTES, SOURCES, Load, Publisher, Singles, entry, series_of, warm_up
from schemas.records import SeriesDefinition
from schemas.telemetry import TelemetryDecoder


class Kept(Publisher):
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []

    def send(self, source: int, value: bytes, key: bytes = b"") -> None:
        self.sent.append((source, value))


def decoder(seen: list[SeriesDefinition]) -> TelemetryDecoder:
    def resolve(definition: SeriesDefinition) -> int:
        seen.append(definition)
        return len(seen) - 1

    return TelemetryDecoder(resolve, None)


def test_series_differ_and_a_hundred_in_a_row_are_of_a_hundred_routes():
    entries = [entry(number) for number in range(1_000)]
    assert len({tuple(sorted(each.labels.items())) for each in entries}) == 1_000
    assert len({each.labels["route"] for each in entries[:ROUTES]}) == ROUTES


def test_a_series_belongs_to_one_partition():
    source = np.arange(10_000) % SOURCES
    series = series_of(np.random.default_rng(1), 1_000, source)
    assert np.array_equal(series % PARTITIONS, source % PARTITIONS)
    assert len(np.unique(series)) == 1_000


def test_the_warm_up_shows_each_series_once():
    publisher, seen = Kept(), []
    assert warm_up(publisher, Singles(1_000), 1_000, 1_800_000_000_000) == 1_000
    records = [(at, 1_800_000_000_000, value) for at, (_, value) in enumerate(publisher.sent)]
    found = decoder(seen).decode(records)
    assert not found.refused
    assert len(seen) == len({str(each) for each in seen}) == 1_000


def test_each_source_counts_without_a_hole_over_blocks():
    singles, rng = Singles(100), np.random.default_rng(2)
    sequences: dict[int, list[int]] = {}
    for _ in range(3):
        source = rng.integers(0, SOURCES, 500)
        for who, number in zip(source.tolist(), singles._sequence(source).tolist(), strict=True):
            sequences.setdefault(who, []).append(number)
    assert all(numbers == list(range(len(numbers))) for numbers in sequences.values())


def test_a_warm_up_is_part_of_the_load():
    assert Load(1_000_000, 100_000, 150_000.0, warm_up=True).warming == 100_000
    assert Load(1_000_000, 100_000, 150_000.0).warming == 0
