"""Convert: Prometheus' series to framed records, and what was not taken of them.

What: counters (by type, else by the suffix of the name) as increases since the last sample, all else as gauges. Why:
Prometheus sends running totals, and what travels here is added up. It refuses native histograms, and series that name no
source; a classic histogram's buckets are the counters that they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from gateway.cumulative import Point, Streams
from gateway.foreign import Gathered, Unfit, series_of
from gateway.identity import Identity
from gateway.order import Source
from gateway.remotewrite.wire import Request, Written
from gateway.rows import Rows, Series
from gateway.turn import Turn
from schemas import limits
from schemas.encoding import Resource
from schemas.records import MeasureKind

NAME: Final = "__name__"
NATIVE: Final = "native histograms are not taken: send classic ones"
COUNTERS: Final = frozenset(
    {"counter", "histogram", "summary"}
)  # summary: its _sum and _count; its quantiles are gauges
SUFFIXES: Final = ("_total", "_count", "_sum", "_bucket")
_NS_PER_MS: Final = 1_000_000


async def converted(request: Request, identity: Identity, streams: Streams, kinds: Mapping[str, str]) -> Gathered:
    """All of a request. `kinds`: types by metric family, told before."""
    out = Gathered()
    rows: dict[str, Rows] = {}
    since: dict[tuple[str, str, str], int] = {}
    turn = Turn()
    for one in request.series:
        await turn.next()
        source = source_of(one, identity)
        owner = ("remote write", identity.tenant, source)
        since.setdefault(owner, streams.since(owner))
        try:
            if not source:
                raise Unfit("the series names no source: it has neither instance nor job")
            if one.histograms:
                out.rejected[NATIVE] += one.histograms
            series = _series(one, kinds)
        except Unfit as no:
            out.rejected[str(no)] += len(one.samples)
            continue
        target = rows.setdefault(source, Rows(source, Resource()))
        for sample in one.samples:
            await turn.next()
            try:
                value = _value(series, sample, (owner, since[owner]), streams, out)
            except Unfit as no:
                out.rejected[str(no)] += 1
                continue
            if value is not None:
                target.add(series, sample[1], [value], [])
    for target in rows.values():
        target.close()
        out.framed += target.framed
    return out


def source_of(one: Written, identity: Identity) -> str:
    """Whose a series is; "" for nobody's."""
    return identity.named(one.labels.get("instance") or one.labels.get("job", ""))


async def sources(request: Request, identity: Identity) -> set[Source]:
    """Of all series: what comes from one of them is to be counted in order. Raises Refusal."""
    found, turn = set(), Turn()
    for one in request.series:
        await turn.next()
        found.add((identity.tenant, source_of(one, identity)))
    return found


def _series(one: Written, kinds: Mapping[str, str]) -> Series:
    name = one.labels.get(NAME, "")
    kind = one.kind if one.kind != "unknown" else _told(name, kinds)
    counter = kind == "counter" or (kind in (*COUNTERS, "unknown") and name.endswith(SUFFIXES))
    labels = {key: value for key, value in one.labels.items() if key != NAME}
    return series_of(name, MeasureKind.COUNTER if counter else MeasureKind.GAUGE, one.unit or "1", labels, frozenset())


def _told(name: str, kinds: Mapping[str, str]) -> str:
    """The type of the name's family, as metadata told it; "unknown" without."""
    found = kinds.get(name)
    for suffix in SUFFIXES:
        if found is None and name.endswith(suffix):
            found = kinds.get(name.removesuffix(suffix))
    return found or "unknown"


def _value(
    series: Series, sample: tuple[float, int, int], owner: tuple[tuple[str, str, str], int], streams: Streams,
    out: Gathered,
) -> float | None:  # fmt: skip
    """The sample's measurement; None where it is a gap or adds nothing. Raises Unfit."""
    value, at, start = sample
    if math.isnan(value):
        return None  # the mark of a series that has ended, or a quantile of nothing
    if not 0 < at < limits.TIME_BOUND_MS:
        raise Unfit("a sample needs its time")
    if not abs(value) < limits.VALUE_BOUND:
        raise Unfit("a value is not finite, or too large")
    (who, since) = owner
    newest = out.proposed.get(who)
    out.proposed[who] = Point(0, max(at * _NS_PER_MS, since, newest.time if newest else 0), 0.0)
    if series.kind != MeasureKind.COUNTER:
        return value
    if value < 0:
        raise Unfit("a counter is below zero")
    point = Point(max(start, 0) * _NS_PER_MS, at * _NS_PER_MS, value)
    added = streams.propose((who, series), point, out.proposed, since)
    return None if added is None else added.total
