"""The registry: one index a definition, the kind in the index, limits, blocks of definitions that are reused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.limits import MAX_OVERFLOW_SERIES, Limits
from rollups.series import CATCH_ALL_METRIC, KIND_SHIFT, OVERFLOW_LABEL, SLOT_MASK, KindSeries, SeriesRegistry
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from tests.rollups.telemetry import GROUPS, no_feeds, series, some_feeds


def test_an_index_says_the_kind_and_is_the_same_for_the_same_definition() -> None:
    registry = SeriesRegistry(some_feeds, Limits())
    web, car = series("a"), series("a", MeasureKind.GAUGE, SourceKind.VEHICLE)
    assert registry.add(web) == registry.add(series("a")) == 0
    index = registry.add(car)
    assert (index >> KIND_SHIFT, index & SLOT_MASK) == (SourceKind.VEHICLE, 0)
    assert int(registry.kinds[SourceKind.VEHICLE].id[0]) == car.id
    assert registry.kinds[SourceKind.WEB].definitions == [web.canonical()]


def test_feeds_of_a_series_are_neighbours_and_groups_have_one_number() -> None:
    registry = SeriesRegistry(some_feeds, Limits())
    for name in "abc":
        registry.add(series(name))
    kind, table = registry.kinds[0], registry.feeds
    assert kind.first[:3].tolist() == [0, 2, 4]
    assert kind.count[:3].tolist() == [2, 2, 2]
    assert table.group[: table.size].tolist() == [0, 1] * 3
    assert table.group_id[: table.groups].tolist() == [GROUPS[1].id, GROUPS[0].id]


def test_beyond_the_limit_a_series_is_its_metrics_overflow_series() -> None:
    registry = SeriesRegistry(no_feeds, Limits(max_series=1))
    registry.add(series("a"))
    assert registry.add(series("b")) == registry.add(series("c")) == 1
    own = SeriesDefinition.from_bytes(registry.kinds[0].definitions[1])
    assert (own.metric, dict(own.labels)) == ("latency", {OVERFLOW_LABEL: "true"})
    assert registry.overflowed == 2


def test_overflow_series_are_bounded_too() -> None:
    registry = SeriesRegistry(no_feeds, Limits(max_series=0))
    found = {
        registry.add(SeriesDefinition(f"m{number}", MeasureKind.GAUGE, "1", SourceKind.OTHER, {}))
        for number in range(MAX_OVERFLOW_SERIES + 50)
    }
    assert len(found) == MAX_OVERFLOW_SERIES + 1
    last = SeriesDefinition.from_bytes(registry.kinds[SourceKind.OTHER].definitions[-1])
    assert last.metric == CATCH_ALL_METRIC


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), max_size=12))
def test_definitions_survive_in_few_blocks(additions: list[int]) -> None:
    kind = KindSeries()
    for addition in additions:
        for _ in range(addition):
            kind.append(b"definition %d" % kind.size, kind.size, int(MeasureKind.GAUGE), (0, 0), 0)
        blocks = kind.frozen()
        assert sum(count for count, _ in blocks) == kind.size
        assert len(blocks) <= kind.size.bit_length()
        assert kind.frozen() == blocks
        other = KindSeries()
        other.load(kind.columns(), blocks)
        assert other.definitions == kind.definitions
