"""Measurements of a record share their series and its time base."""

from fleet.limits import SPAN_MS
from fleet.rows import Row, framed
from schemas.encoding import Producer, Resource
from schemas.records import MeasureKind
from tests.fleet.reader import measurements

AT = 1_700_000_000_000


def row(at=AT, value=1.0, metric="m", **labels):
    return Row(metric, MeasureKind.GAUGE, "1", tuple(labels.items()), at, value)


def test_rows_of_a_series_share_its_place():
    rows = [row(), row(AT - 5, 2.0), row(value=3.0, a="b"), row(metric="n")]
    found = measurements([framed(rows, Resource("fleet"), Producer("v", "b"), 7)])
    assert [(m.metric, m.labels.get("a"), m.time_ms, m.value) for m in found] == [
        ("m", None, AT, 1.0), ("m", None, AT - 5, 2.0), ("m", "b", AT, 3.0), ("n", None, AT, 1.0),
    ]  # fmt: skip


def test_what_is_far_too_old_does_not_cost_its_neighbours():
    found = measurements([framed([row(AT - 2 * SPAN_MS), row()], Resource(), Producer(), 0)])
    assert [m.time_ms for m in found] == [AT - SPAN_MS, AT]
