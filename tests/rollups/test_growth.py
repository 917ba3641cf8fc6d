"""Who brought the newest series: the one whose labels have no bound, whatever was there before."""

from __future__ import annotations

from rollups.growth import SAMPLE, Growth, newest
from rollups.limits import Limits
from rollups.series import SeriesRegistry
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from tests.rollups.telemetry import no_feeds


def one(service: str, metric: str, kind: SourceKind = SourceKind.WEB, **labels: str) -> SeriesDefinition:
    return SeriesDefinition(metric, MeasureKind.GAUGE, "1", kind, {"service": service, **labels})


def test_the_flood_is_named_by_service_metric_and_label() -> None:
    registry = SeriesRegistry(no_feeds, Limits(max_series=700))
    for number in range(200):
        registry.add(one("shop", "depth", route=f"/{number % 20}", host=f"h{number}"))
    for number in range(600):
        registry.add(one("cart", "size", route="/a", user=f"u{number}", region=f"r{number % 3}"))
    assert newest(registry) == Growth("cart", "size", "user", 500, 500, 700)


def test_what_is_older_than_the_sample_does_not_count() -> None:
    registry = SeriesRegistry(no_feeds, Limits())
    for number in range(3 * SAMPLE):
        registry.add(one("shop", "depth", host=f"h{number}"))
    for number in range(SAMPLE):
        registry.add(one("cart", "size", SourceKind.WEB, user=f"u{number}"))
    assert newest(registry) == Growth("cart", "size", "user", SAMPLE, SAMPLE, SAMPLE)


def test_kinds_of_source_are_looked_at_together_and_overflow_series_are_nobodys() -> None:
    registry = SeriesRegistry(no_feeds, Limits(max_series=3))
    registry.add(one("shop", "depth"))
    registry.add(one("car", "speed", SourceKind.VEHICLE, vin="a"))
    registry.add(one("car", "speed", SourceKind.VEHICLE, vin="b"))
    for number in range(9):
        registry.add(SeriesDefinition(f"m{number}", MeasureKind.GAUGE, "1", SourceKind.WEB, {}))
    assert newest(registry) == Growth("car", "speed", "vin", 2, 2, 3)


def test_an_empty_partition_has_no_newest() -> None:
    assert newest(SeriesRegistry(no_feeds, Limits())) is None


def test_a_series_without_labels_has_no_label_to_name() -> None:
    registry = SeriesRegistry(no_feeds, Limits())
    registry.add(SeriesDefinition("depth", MeasureKind.GAUGE, "1", SourceKind.WEB, {}))
    assert newest(registry) == Growth("", "depth", "", 0, 1, 1)
