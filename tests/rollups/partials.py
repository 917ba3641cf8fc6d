"""Partials for the tests of the merge: a source partition in plain Python that writes what an aggregate would, and a
reader of rollups that keeps the highest revision and checks what it is promised."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from rollups import histogram, sums
from rollups.limits import NEVER, PANE_MS, SOURCE_KINDS, Lateness
from schemas.cells import FLAG_CORRECTION, FLAG_FINAL, FLAG_LATE, FLAG_SLO, Cells
from schemas.records import MeasureKind, PartialBatch, RollupBatch, SeriesDefinition, SloGroup, SourceKind

T0 = 1_800_000_000_000  # a full hour
UNIT = 1 << 20
LATENESS = Lateness((2_000, 5_000, 30_000, 0), (600_000, 600_000, 600_000, 600_000), 1_000)
SERIES = [
    SeriesDefinition("latency", MeasureKind.OUTCOME, "ms", kind, {"route": name})
    for name, kind in (
        ("a", SourceKind.WEB),
        ("b", SourceKind.WEB),
        ("c", SourceKind.VEHICLE),
        ("d", SourceKind.VEHICLE),
    )
]
GROUP = SloGroup("fast", 0, {"team": "shop"})


@dataclasses.dataclass(frozen=True)
class Point:
    """One measurement of a source partition's log; its position in the log is its offset."""

    series: int  # place in SERIES
    time_ms: int
    value: float
    good: bool = True
    event_id: int = 0


@dataclasses.dataclass
class Value:
    """A cell in plain values."""

    count: int = 0
    whole: int = 0
    frac: int = 0
    low: float = np.inf
    high: float = -np.inf
    good: int = 0
    fingerprint: int = 0
    buckets: Counter[int] = dataclasses.field(default_factory=Counter)

    def add(self, point: Point) -> None:
        whole, frac = sums.split(np.array([point.value]))
        total = (self.whole << 40) + self.frac + (int(whole[0]) << 40) + int(frac[0])
        self.whole, self.frac = total >> 40, total & ((1 << 40) - 1)
        self.count += 1
        self.low, self.high = min(self.low, point.value), max(self.high, point.value)
        self.good += point.good
        self.fingerprint = (self.fingerprint + point.event_id) % 2**64
        self.buckets[int(histogram.bucket(np.array([point.value]))[0])] += 1


Row = tuple[int, int, int, int, Value]  # series, pane, offset, flags, value


def cells(rows: Sequence[Row], slo: Sequence[tuple[int, int, int, int]] = ()) -> Cells:
    """Series rows, then SLO rows (pane, offset, good, total)."""
    values = [row[4] for row in rows]
    count = len(rows) + len(slo)
    buckets = [(at, code, number) for at, v in enumerate(values) for code, number in sorted(v.buckets.items())]
    definitions = [SERIES[row[0]].canonical() for row in rows] + [GROUP.canonical()] * len(slo)

    def column(found: Iterable[float], dtype: str, more: Iterable[float] = ()) -> np.ndarray:
        data = [*found, *more]
        return np.array(data + [0] * (count - len(data)), dtype)

    return Cells.of(
        count,
        series=column((SERIES[row[0]].id for row in rows), "u8", [GROUP.id] * len(slo)),
        pane_ms=column((row[1] for row in rows), "i8", (row[0] for row in slo)),
        offset=column((row[2] for row in rows), "i8", (row[1] for row in slo)),
        flags=column((row[3] for row in rows), "u1", [FLAG_SLO] * len(slo)),
        count=column((v.count for v in values), "i8"),
        sum_whole=column((v.whole for v in values), "i8"),
        sum_frac=column((v.frac for v in values), "i8"),
        low=column((v.low for v in values), "f8"),
        high=column((v.high for v in values), "f8"),
        good=column((v.good * UNIT for v in values), "i8", (row[2] * UNIT for row in slo)),
        total=column((v.count * UNIT for v in values), "i8", (row[3] * UNIT for row in slo)),
        fingerprint=column((v.fingerprint for v in values), "u8"),
        hist_row=np.array([bucket[0] for bucket in buckets], "i4"),
        hist_bucket=np.array([bucket[1] for bucket in buckets], "i4"),
        hist_count=np.array([bucket[2] for bucket in buckets], "i8"),
        definition_end=np.cumsum([len(definition) for definition in definitions]) if count else np.zeros(0),
        definition_bytes=np.frombuffer(b"".join(definitions), np.uint8),
    )


class Writer:
    """What writes one source partition's partials. A deep copy of it is its snapshot."""

    def __init__(self, source: int, lateness: Lateness = LATENESS) -> None:
        self.source, self.lateness = source, lateness
        self.fence = -1
        self.values: dict[tuple[int, int], Value] = {}  # (series, pane)
        self.slo: dict[int, list[int]] = {}
        self.watermarks, self.newest = [NEVER] * SOURCE_KINDS, [NEVER] * SOURCE_KINDS
        self.closed = [NEVER] * SOURCE_KINDS

    def copy(self) -> Writer:
        return copy.deepcopy(self)

    def write(
        self, log: Sequence[Point], through: int, now_ms: int, idle_ms: int = 0, everywhere: bool = False
    ) -> PartialBatch:
        """Read the log through an offset, and say what is due. `everywhere`: idle time counts for kinds never seen."""
        rows: list[Row] = []
        touched, groups = set(), set()
        for offset in range(self.fence + 1, through + 1):
            point = log[offset]
            kind, pane = int(SERIES[point.series].source_kind), point.time_ms // PANE_MS * PANE_MS
            self.newest[kind] = max(self.newest[kind], point.time_ms)
            groups.add(pane)
            good_total = self.slo.setdefault(pane, [0, 0])
            good_total[0] += point.good
            good_total[1] += 1
            if pane < self.closed[kind]:
                late = Value()
                late.add(point)
                rows.append((point.series, pane, offset, FLAG_LATE, late))
                continue
            self.values.setdefault((point.series, pane), Value()).add(point)
            touched.add((point.series, pane))
        self.fence = max(self.fence, through)
        self._move(now_ms, idle_ms, everywhere)
        for (series, pane), value in sorted(self.values.items()):
            kind = int(SERIES[series].source_kind)
            due = pane < self.closed[kind]
            if due or (kind == SourceKind.VEHICLE and (series, pane) in touched):
                rows.append((series, pane, self.fence, 0, copy.deepcopy(value)))
            if due:
                del self.values[series, pane]
        slo = [(pane, self.fence, *self.slo[pane]) for pane in sorted(groups)]
        marks = tuple(self.watermarks), tuple(self.newest)
        return PartialBatch(self.source, self.fence, 0, now_ms, *marks, cells(rows, slo))

    def _move(self, now_ms: int, idle_ms: int, everywhere: bool) -> None:
        for kind, newest in enumerate(self.newest):
            if newest != NEVER or everywhere:
                base = newest + idle_ms if newest != NEVER else now_ms
                self.watermarks[kind] = max(self.watermarks[kind], base - self.lateness.lateness_ms[kind])
                passed = self.watermarks[kind] - self.lateness.grace_ms
                self.closed[kind] = max(self.closed[kind], passed // PANE_MS * PANE_MS)


Answer = tuple[int, int, int, float, float, int, int, int, tuple[tuple[int, int], ...]]


def answers(block: Cells) -> list[tuple[int, Answer]]:
    """(series id, plain values) of each row."""
    buckets: dict[int, list[tuple[int, int]]] = {}
    for row, code, count in zip(
        block.hist_row.tolist(), block.hist_bucket.tolist(), block.hist_count.tolist(), strict=True
    ):
        buckets.setdefault(row, []).append((code, count))
    names = ("count", "sum_whole", "sum_frac", "low", "high", "good", "total", "fingerprint")
    columns = zip(*(getattr(block, name).tolist() for name in names), strict=True)
    ids = block.series.tolist()
    return [(ids[at], (*values, tuple(buckets.get(at, ())))) for at, values in enumerate(columns)]


class Reader:
    """Keeps, per (series, window), the highest revision; refuses two truths under one revision."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int, int], tuple[int, int, Answer]] = {}  # -> (revision, flags, values)
        self.keys: Counter[tuple[int, int, int]] = Counter()
        self.corrections = self.finals = 0

    def read(self, batches: Iterable[RollupBatch]) -> None:
        for batch in batches:
            self.keys[batch.window_ms, batch.start_ms, batch.batch] += 1
            batch.cells.check()
            assert (batch.cells.pane_ms == batch.start_ms).all()
            for at, (series, values) in enumerate(answers(batch.cells)):
                assert SeriesDefinition.from_bytes(batch.cells.definition(at)).id == series
                revision, flags = int(batch.cells.revision[at]), int(batch.cells.flags[at])
                self._row((series, batch.window_ms, batch.start_ms), revision, flags, values)

    def _row(self, key: tuple[int, int, int], revision: int, flags: int, values: Answer) -> None:
        before = self.rows.get(key)
        self.corrections += (flags & FLAG_CORRECTION) != 0
        self.finals += (flags & FLAG_FINAL) != 0
        if before is not None:
            if revision == before[0]:
                assert values == before[2], "one revision, two truths"
                assert flags & FLAG_FINAL == before[1] & FLAG_FINAL, "one revision, final and not final"
            if revision > before[0] and before[1] & FLAG_FINAL:
                assert flags & FLAG_FINAL, "final once, final for ever"
                assert values == before[2] or flags & FLAG_CORRECTION, "a final value changed without a word"
            if revision < before[0]:
                return
        self.rows[key] = (revision, flags, values)

    def final(self) -> dict[tuple[int, int, int], Answer]:
        """What is final, by (series, length, start)."""
        return {key: values for key, (_, flags, values) in self.rows.items() if flags & FLAG_FINAL}


def truth(logs: Iterable[Sequence[Point]]) -> dict[tuple[int, int, int], Answer]:
    """All measurements of all logs, by (series, length, start)."""
    found: dict[tuple[int, int, int], Value] = {}
    for log in logs:
        for point in log:
            for window_ms in (PANE_MS, 60_000, 300_000, 3_600_000):
                start = point.time_ms // window_ms * window_ms
                found.setdefault((SERIES[point.series].id, window_ms, start), Value()).add(point)
    return {
        key: (
            v.count,
            v.whole,
            v.frac,
            v.low,
            v.high,
            v.good * UNIT,
            v.count * UNIT,
            v.fingerprint,
            tuple(sorted(v.buckets.items())),
        )
        for key, v in found.items()
    }
