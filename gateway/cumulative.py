"""Cumulative: running totals to what was added since.

What: the last point of each stream; the next one minus it, with resets where the start time moves on or a total falls.
Why: what travels here is added up downstream, so each increase may be said once. A repeat of an old point adds nothing.
It refuses to guess: of a stream that it has not seen, or has forgotten, the first point is only where counting begins,
unless the stream began later than what we last saw of its source; and a change is kept only when Kafka has acknowledged
what came out of it.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Mapping
from typing import Final

from gateway.limits import STREAMS

Bucket = tuple[int, int]  # (side: -1, 0 or 1; index) of an exponential histogram, (0, place) of an explicit one


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Counts of a histogram by bucket. `scale` of an exponential one; `bounds` of an explicit one."""

    of: Mapping[Bucket, int]
    scale: int | None = None
    bounds: tuple[float, ...] = ()

    def coarser(self, scale: int | None) -> Counts:
        """The same at a scale that is not above ours: two buckets become one with each step."""
        if scale is None or self.scale is None or scale == self.scale:
            return self
        found: collections.Counter[Bucket] = collections.Counter()
        for (side, index), count in self.of.items():
            found[side, index >> (self.scale - scale) if side else 0] += count
        return Counts(dict(found), scale)

    def comparable(self, other: Counts) -> bool:
        """Whether one can be taken from the other."""
        return self.bounds == other.bounds and (self.scale is None) == (other.scale is None)

    def minus(self, other: Counts) -> Counts:
        """Bucket by bucket, at the coarser scale of the two; may be below zero."""
        scale = None if self.scale is None or other.scale is None else min(self.scale, other.scale)
        mine, theirs = self.coarser(scale), other.coarser(scale)
        keys = mine.of.keys() | theirs.of.keys()
        left = {key: mine.of.get(key, 0) - theirs.of.get(key, 0) for key in keys}
        return Counts({key: count for key, count in left.items() if count}, scale, self.bounds)


NOTHING: Final = Counts({})


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A cumulative point, or what was added between two. Times in ns."""

    start: int
    time: int
    total: float
    counts: Counts = NOTHING


class Streams:
    """The last points. `propose` asks, `keep` remembers what was proposed once it is acknowledged."""

    def __init__(self, began_ns: int, most: int = STREAMS) -> None:
        """`began_ns`: when this gateway began; nobody else can have counted a stream that began later."""
        self._began_ns = began_ns
        self._most = most
        self._last: collections.OrderedDict[Hashable, Point] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def since(self, source: Hashable) -> int:
        """When we last saw something of this source, ns; else when we began."""
        last = self._last.get(source)
        return self._began_ns if last is None else last.time

    def propose(self, key: Hashable, point: Point, proposed: dict[Hashable, Point], since: int) -> Point | None:
        """What this point adds; None when it adds nothing that may be said. `proposed` holds this request's points."""
        last = proposed.get(key, self._last.get(key))
        if last is not None and point.time <= last.time:
            return None  # an old one again
        proposed[key] = point
        if last is None:
            return point if point.start >= since else None  # where counting begins
        if point.start > last.start or not point.counts.comparable(last.counts):
            return point if point.start >= last.time else None
        added = point.counts.minus(last.counts)
        fell = any(count < 0 for count in added.of.values()) if point.counts.of else point.total < last.total
        return point if fell else Point(last.time, point.time, point.total - last.total, added)

    def keep(self, proposed: dict[Hashable, Point]) -> None:
        """These are the last points now."""
        for key, point in proposed.items():
            self._last[key] = point
            self._last.move_to_end(key)
        while len(self._last) > self._most:
            self._last.popitem(last=False)
