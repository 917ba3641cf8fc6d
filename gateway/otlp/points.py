"""Points: one OTLP data point to values of one series, or the reason why not.

What: gauges, sums and both kinds of histogram; delta as it comes, cumulative through `cumulative`. Why: a bad point must
cost itself, and its sender must read why. It refuses, by name: summaries; delta sums that may fall; values that are not
finite or too large; points without a time; names and labels beyond the contract; histograms of more than 10,000 values.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from gateway.cumulative import Bucket, Counts, Point, Streams
from gateway.foreign import Unfit, series_of
from gateway.limits import HISTOGRAM_BUCKETS, HISTOGRAM_VALUES, OTLP_EXEMPLARS
from gateway.otlp.attributes import texts_of
from gateway.otlp.spread import buckets_of, spread
from gateway.rows import Series
from schemas import limits
from schemas.records import MeasureKind

DELTA: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_NO_VALUE: Final = 1  # the flag of a point that says only that there is none
_NS_PER_MS: Final = 1_000_000
_SCALE_MOST: Final = 20

AnyPoint = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint
Exemplars = list[tuple[int, bytes]]


@dataclasses.dataclass(slots=True)
class Context:
    """What a request's points share. `owner`: tenant, source and resource; `since`: see Streams.since."""

    streams: Streams
    proposed: dict[Hashable, Point]
    owner: Hashable
    since: int
    resource_labels: frozenset[str]

    scope: str = ""

    def increase(self, series: Series, point: Point) -> Point | None:
        """See Streams.propose."""
        return self.streams.propose((self.owner, self.scope, series), point, self.proposed, self.since)


def points_of(metric: Metric) -> tuple[str, Sequence[AnyPoint]]:
    """(kind of data, its points). Metric without data: no points."""
    which = metric.WhichOneof("data") or ""
    return which, getattr(metric, which).data_points if which else ()


def values_of(
    metric: Metric, which: str, point: AnyPoint, context: Context
) -> tuple[Series, list[float], Exemplars] | None:
    """Series, values and exemplars of one point; None where it adds nothing. Raises Unfit."""
    if which == "summary":
        raise Unfit("summaries are not taken: quantiles cannot be added up")
    if point.flags & _NO_VALUE:
        return None
    if not point.time_unix_nano or point.time_unix_nano // _NS_PER_MS >= limits.TIME_BOUND_MS:
        raise Unfit("a point needs its time")
    if isinstance(point, NumberDataPoint):
        return _number(metric, which, point, context)
    return _histogram(metric, which, point, context)


def _series(metric: Metric, kind: MeasureKind, point: AnyPoint, context: Context) -> Series:
    """Raises Unfit."""
    return series_of(metric.name, kind, metric.unit or "1", texts_of(point.attributes), context.resource_labels)


def _number(
    metric: Metric, which: str, point: NumberDataPoint, context: Context
) -> tuple[Series, list[float], Exemplars] | None:
    value = float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)
    if not abs(value) < math.inf:
        raise Unfit("a value is not finite")
    kind = MeasureKind.GAUGE
    if which == "sum":
        kind, found = _summed(metric, point, value, context)
        if found is None:
            return None
        value = found
    if not abs(value) < limits.VALUE_BOUND:
        raise Unfit("a value is too large")
    traces = [one.trace_id for one in point.exemplars[-OTLP_EXEMPLARS:] if len(one.trace_id) == limits.TRACE_BYTES]
    return _series(metric, kind, point, context), [value], [(0, traces[-1])] if traces else []


def _summed(metric: Metric, point: NumberDataPoint, value: float, context: Context) -> tuple[MeasureKind, float | None]:
    """A sum as a counter's increase; one that may fall, as the gauge that it is when it is cumulative."""
    how, monotonic = metric.sum.aggregation_temporality, metric.sum.is_monotonic
    if how == CUMULATIVE and not monotonic:
        return MeasureKind.GAUGE, value
    if how not in (DELTA, CUMULATIVE):
        raise Unfit("a sum needs its temporality")
    if not monotonic:
        raise Unfit("a delta sum that may fall has no starting value here: send it as cumulative, or as a gauge")
    if value < 0:
        raise Unfit("a sum that cannot fall is below zero")
    if how == DELTA:
        return MeasureKind.COUNTER, value
    series = _series(metric, MeasureKind.COUNTER, point, context)
    added = context.increase(series, Point(point.start_time_unix_nano, point.time_unix_nano, value))
    return MeasureKind.COUNTER, None if added is None else added.total


def _histogram(
    metric: Metric, which: str, point: HistogramDataPoint | ExponentialHistogramDataPoint, context: Context
) -> tuple[Series, list[float], Exemplars] | None:
    series = _series(metric, MeasureKind.HISTOGRAM, point, context)
    how = getattr(metric, which).aggregation_temporality
    if how not in (DELTA, CUMULATIVE):
        raise Unfit("a histogram needs its temporality")
    total: float | None = point.sum if point.HasField("sum") else None
    if total is not None and not abs(total) < math.inf:
        raise Unfit("a histogram's sum is not finite")
    counts = _counts(point)
    low = point.min if point.HasField("min") else None
    high = point.max if point.HasField("max") else None
    if how == CUMULATIVE:
        low = high = None  # of all time, not of what was added
        added = context.increase(series, Point(point.start_time_unix_nano, point.time_unix_nano, total or 0.0, counts))
        if added is None:
            return None
        counts, total = added.counts, None if total is None else added.total
    values = _values(counts, total, low, high)
    return (series, values.tolist(), _exemplars(point, values)) if len(values) else None


def _counts(point: HistogramDataPoint | ExponentialHistogramDataPoint) -> Counts:
    """Raises Unfit."""
    found: dict[Bucket, int]
    if isinstance(point, HistogramDataPoint):
        if len(point.bucket_counts) > HISTOGRAM_BUCKETS or len(point.explicit_bounds) > HISTOGRAM_BUCKETS:
            raise Unfit(f"more than {HISTOGRAM_BUCKETS} buckets")
        bounds, numbers = tuple(point.explicit_bounds), tuple(point.bucket_counts) or (point.count,)
        if len(numbers) != len(bounds) + 1:
            raise Unfit("a histogram's counts and bounds do not fit together")
        if any(not abs(bound) < math.inf for bound in bounds) or any(a >= b for a, b in itertools.pairwise(bounds)):
            raise Unfit("a histogram's bounds are finite and rise")
        found = {(0, place): count for place, count in enumerate(numbers)}
        counts = Counts(found, None, bounds)
    else:
        sides = ((-1, point.negative), (1, point.positive))
        if sum(len(side.bucket_counts) for _, side in sides) > HISTOGRAM_BUCKETS or not abs(point.scale) <= _SCALE_MOST:
            raise Unfit(f"more than {HISTOGRAM_BUCKETS} buckets, or a scale beyond {_SCALE_MOST}")
        found = {(0, 0): point.zero_count}
        for sign, side in sides:
            found |= {(sign, side.offset + place): count for place, count in enumerate(side.bucket_counts)}
        counts = Counts(found, point.scale)
    if sum(found.values()) != point.count:
        raise Unfit("a histogram's counts and count do not fit together")
    return counts


def _values(counts: Counts, total: float | None, low: float | None, high: float | None) -> NDArray[np.float64]:
    """The values that a histogram stands for, ascending. Raises Unfit."""
    if sum(counts.of.values()) > HISTOGRAM_VALUES:
        raise Unfit(f"a histogram point of more than {HISTOGRAM_VALUES} values")
    try:
        values = spread(buckets_of(counts, low, high, total), total)
    except OverflowError as error:
        raise Unfit("a histogram's bucket is beyond every number") from error
    if not float(np.abs(values).max(initial=0.0)) < limits.VALUE_BOUND:
        raise Unfit("a histogram's value is too large")
    return values


def _exemplars(point: HistogramDataPoint | ExponentialHistogramDataPoint, values: NDArray[np.float64]) -> Exemplars:
    """Each exemplar's trace at the value that is nearest above its own."""
    found: dict[int, bytes] = {}
    for one in point.exemplars[-OTLP_EXEMPLARS:]:
        value = float(one.as_int) if one.WhichOneof("value") == "as_int" else one.as_double
        if len(one.trace_id) == limits.TRACE_BYTES:
            found[min(int(np.searchsorted(values, value)), len(values) - 1)] = one.trace_id
    return sorted(found.items())
