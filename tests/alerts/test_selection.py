"""From series to SLO groups."""

from __future__ import annotations

import pytest

from alerts.selection import Selection
from schemas.records import FeedMode, MeasureKind, SeriesDefinition, SourceKind
from tests.alerts.simulate import config_of, slo_text
from tests.alerts.test_openslo import EXAMPLES, read_config


def series(
    metric: str, kind: MeasureKind = MeasureKind.OUTCOME, source: SourceKind = SourceKind.WEB, **labels: str
) -> SeriesDefinition:
    return SeriesDefinition(metric, kind, "1", source, labels)


def test_an_outcome_feeds_the_group_of_its_labels() -> None:
    select = Selection(config_of(slo_text(group_by="[region, service]")))
    (feed,) = select(series("http.request", region="west", service="shop", route="/cart"))
    assert feed.mode is FeedMode.OUTCOME
    assert dict(feed.group.labels) == {"region": "west", "service": "shop"}
    (feed,) = select(series("http.request", region="west"))
    assert dict(feed.group.labels) == {"region": "west", "service": ""}


@pytest.mark.parametrize(
    "definition",
    [
        series("http.other"),
        series("http.request", MeasureKind.COUNTER),
        series("http.request", source=SourceKind.VEHICLE),
    ],
    ids=["other metric", "other kind of measure", "other kind of source"],
)
def test_other_series_feed_nothing(definition: SeriesDefinition) -> None:
    assert list(Selection(config_of(slo_text()))(definition)) == []


def test_a_counter_is_total_and_good_unless_the_bad_part_matches() -> None:
    select = Selection(read_config(EXAMPLES))
    kind = MeasureKind.COUNTER
    (good,) = select(series("checkout.requests", kind, status="200", route="/pay"))
    (bad,) = select(series("checkout.requests", kind, status="503", route="/pay"))
    assert (good.mode, bad.mode) == (FeedMode.GOOD_AND_TOTAL, FeedMode.TOTAL)
    assert list(select(series("checkout.requests", kind, status="503", route="/health"))) == []


def test_each_objective_of_a_threshold_has_its_own_group_and_threshold() -> None:
    feeds = Selection(read_config(EXAMPLES))(series("checkout.duration", MeasureKind.HISTOGRAM, route="/pay"))
    assert [(feed.group.objective, feed.mode, feed.threshold) for feed in feeds] == [
        (0, FeedMode.AT_MOST, 300.0),
        (1, FeedMode.BELOW, 2000.0),
    ]


def test_the_demo_series_feed_the_demo_slos() -> None:
    select = Selection(read_config(EXAMPLES))
    signal = series("vehicle.signal", source=SourceKind.VEHICLE, region="west", version="4.2")
    assert {feed.group.slo for feed in select(signal)} == {"vehicle-signals-by-fleet", "vehicle-signals-by-version"}
    gauge = series("system.cpu.utilization", MeasureKind.GAUGE, SourceKind.DESKTOP, service="desktop")
    assert [(feed.mode, feed.threshold) for feed in select(gauge)] == [(FeedMode.AT_MOST, 90_000.0)]
