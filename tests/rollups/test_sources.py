"""The clocks of the source partitions, and the kind that a definition names."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.limits import IDLE_SLACK_MS, NEVER
from rollups.sources import Sources, source_kinds
from schemas.cells import Cells
from schemas.records import MeasureKind, PartialBatch, SeriesDefinition, SourceKind

T0 = 1_800_000_000_000
HOUR = 3_600_000
LATENESS_MS = (5_000, 5_000, 300_000, 30_000)


def partial(source: int, watermark: int, newest: int, as_of: int, now_ms: int = T0) -> PartialBatch:
    return PartialBatch(source, as_of, 0, now_ms, (watermark,) * 4, (newest,) * 4, Cells.empty())


def test_the_lowest_watermark_and_the_newest_event_of_all():
    sources = Sources(2, (5_000,) * 4)
    assert sources.clock().watermarks == (NEVER,) * 4
    sources.hear(partial(0, T0, T0 + 5, 7), T0)
    assert sources.clock().watermarks == (NEVER,) * 4
    assert sources.clock().max_event_ms == (T0 + 5,) * 4
    sources.hear(partial(1, T0 - 3, T0 - 1, 3), T0 + 9)
    assert sources.clock().watermarks == (T0 - 3,) * 4
    assert sources.clock().max_event_ms == (T0 + 5,) * 4
    assert sources.clock().now_ms == T0 + 9
    assert sources.heard() == {0: 7, 1: 3}


def test_time_never_goes_back():
    sources = Sources(1, (5_000,) * 4)
    sources.hear(partial(0, T0, T0, 7), T0)
    sources.hear(partial(0, T0 - 1, T0 - 1, 6), T0 - 1)
    clock = sources.clock()
    assert (clock.watermarks, clock.max_event_ms, clock.now_ms, sources.heard()) == ((T0,) * 4, (T0,) * 4, T0, {0: 7})


def test_idle_time_is_believed_only_as_far_as_the_brokers_stamps_went_on():
    """A worker whose clock is two hours ahead says that its partition has been silent for two hours."""
    sources = Sources(1, LATENESS_MS)
    sources.hear(partial(0, T0 - 5_000, T0, 7), T0)
    sources.hear(partial(0, T0 + 2 * HOUR, T0, 7, T0 + 2 * HOUR), T0 + 1_000)
    assert sources.clock().watermarks[0] == T0 - 5_000 + 1_000 + IDLE_SLACK_MS
    assert sources.clock().reached_ms[0, 0] == T0 + 1_000 + IDLE_SLACK_MS
    assert sources.clock().now_ms == T0 + 1_000
    sources.hear(partial(0, T0 + 60_000, T0, 7), T0 + 70_000)
    assert sources.clock().watermarks[0] == T0 + 60_000, "what the stamps bear out is believed to the millisecond"


def test_a_kind_that_never_came_is_passed_by_the_brokers_clock_alone():
    for skew in (-2 * HOUR, 0, 2 * HOUR):
        sources = Sources(1, LATENESS_MS)
        marks = tuple(T0 + skew - late for late in LATENESS_MS)
        sources.hear(PartialBatch(0, 7, 0, T0 + skew, marks, (NEVER,) * 4, Cells.empty()), T0)
        assert sources.clock().watermarks == tuple(T0 - late for late in LATENESS_MS)
        assert (sources.clock().reached_ms == NEVER).all(), "and nobody waits for what never came"
        behind = PartialBatch(0, 7, 0, T0 + skew + 60_000, marks, (NEVER,) * 4, Cells.empty())
        sources.hear(behind, T0 + 60_000)
        assert sources.clock().watermarks[0] < T0, "it was not all read: time does not go on"


def test_new_data_is_believed_at_once():
    sources = Sources(1, LATENESS_MS)
    sources.hear(partial(0, T0 - 5_000, T0, 7), T0)
    sources.hear(partial(0, T0 + 2 * HOUR - 5_000, T0 + 2 * HOUR, 8), T0 + 1)
    assert sources.clock().watermarks[0] == T0 + 2 * HOUR - 5_000


def test_each_source_partition_has_reached_its_own_time():
    sources = Sources(2, LATENESS_MS)
    sources.hear(partial(0, T0 - 5_000, T0, 7), T0)
    sources.hear(partial(1, T0 - 40_000, T0 - 60_000, 7), T0)
    assert sources.clock().source == 1
    assert sources.clock().reached_ms[:, 0].tolist() == [T0, T0 - 60_000 + IDLE_SLACK_MS]


definitions = st.builds(
    SeriesDefinition,
    metric=st.text(max_size=128),
    kind=st.sampled_from(MeasureKind),
    unit=st.text(max_size=20),
    source_kind=st.sampled_from(SourceKind),
    labels=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(definitions, max_size=6))
def test_the_kind_is_read_from_the_definition(found):
    data = [definition.canonical() for definition in found]
    cells = Cells.of(
        len(found),
        definition_end=np.cumsum([len(one) for one in data]) if data else np.zeros(0),
        definition_bytes=np.frombuffer(b"".join(data), np.uint8),
    )
    assert source_kinds(cells).tolist() == [int(definition.source_kind) for definition in found]


def test_a_row_without_a_definition_is_of_another_kind():
    assert source_kinds(Cells.of(2)).tolist() == [3, 3]
