"""The law of the aggregate: the truth is a function of the log, whatever happens to the process.

What: a plain-Python model counts every record once; the aggregate gets the same records cut anywhere, drained anywhere,
killed and restored anywhere, its batches merged by the highest as-of offset; both must agree exactly. Why: this is the
promise "nothing lost, nothing counted twice" without a broker. It refuses tolerance: sums are compared as fractions.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups import histogram
from rollups.aggregate import Aggregate
from rollups.aggregate_state import restore, snapshot
from rollups.limits import PANE_MS, Lateness
from schemas.cells import FLAG_LATE, Cells
from schemas.measurements import mix64
from schemas.records import MeasureKind, SourceKind
from tests.rollups.telemetry import T0, Record, Row, measurements, series, some_feeds

LATENESS = Lateness(
    lateness_ms=(2_000, 5_000, 60_000, 0), horizon_ms=(60_000, 60_000, 120_000, 30_000), grace_ms=1_000, future_ms=5_000
)
PARTITIONS = 3
UNIT = 1 << 20
SERIES = [
    series("a"),
    series("b", MeasureKind.HISTOGRAM),
    series("c", MeasureKind.COUNTER, SourceKind.DESKTOP),
    series("d", MeasureKind.OUTCOME, SourceKind.VEHICLE),
    series("e", MeasureKind.GAUGE, SourceKind.VEHICLE),
    series("f", MeasureKind.OUTCOME, SourceKind.OTHER),
]


@dataclasses.dataclass
class Cell:
    """A cell as plain values."""

    count: int = 0
    total_sum: Fraction = Fraction(0)
    low: float = float("inf")
    high: float = float("-inf")
    good: int = 0
    total: int = 0
    fingerprint: int = 0
    buckets: Counter[int] = dataclasses.field(default_factory=Counter)
    exemplar: tuple[int, float, bytes, int] | None = None  # (good, -value, trace, time): the least is the best

    def offer(self, exemplar: tuple[int, float, bytes, int] | None) -> None:
        """Keep the better one."""
        if exemplar is not None and (self.exemplar is None or exemplar < self.exemplar):
            self.exemplar = exemplar


Truth = dict[tuple[int, int], Cell]


def model(records: list[Record]) -> tuple[Truth, Counter[str]]:
    """What every record means, one after the other."""
    truth: Truth = {}
    words: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    furthest: dict[int, int] = {}
    for record in records:
        words["accepted"] += len(record.rows)
        if record.sequence >= 0 and (record.producer, record.sequence) in seen:
            words["deduped"] += len(record.rows)
            continue
        seen.add((record.producer, record.sequence))
        for number, row in enumerate(record.rows):
            kind = int(row.definition.source_kind)
            if row.time_ms - record.append_ms > LATENESS.future_ms:
                words["future"] += 1
                continue
            furthest[kind] = max(furthest.get(kind, row.time_ms), row.time_ms)
            behind = row.time_ms < furthest[kind] - LATENESS.horizon_ms[kind]
            if behind or row.time_ms < max(furthest.values()) - max(LATENESS.horizon_ms):
                words["too_late"] += 1
                continue
            words["kept"] += 1
            count_row(truth, record, row, number)
    return truth, words


def count_row(truth: Truth, record: Record, row: Row, number: int) -> None:
    """One measurement into its series' cell and its groups' cells."""
    pane = row.time_ms // PANE_MS * PANE_MS
    cell = truth.setdefault((row.definition.id, pane), Cell())
    cell.count += 1
    cell.total_sum += Fraction(round(Fraction(row.value) * (1 << 40)), 1 << 40)
    cell.low, cell.high = min(cell.low, row.value), max(cell.high, row.value)
    step, row_step = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
    identity = (record.producer + record.sequence * step + number * row_step) % (1 << 64)
    cell.fingerprint = (cell.fingerprint + int(mix64(np.array([identity], np.uint64))[0])) % (1 << 64)
    if row.definition.kind >= MeasureKind.HISTOGRAM:
        cell.buckets[int(histogram.bucket(np.array([row.value]))[0])] += 1
    if row.definition.kind == MeasureKind.OUTCOME and row.outcome < 2:
        cell.good += UNIT * row.outcome
        cell.total += UNIT
    if row.trace:
        cell.offer((int(row.outcome != 0), -row.value, row.trace, row.time_ms))
    for feed in some_feeds(row.definition):
        group = truth.setdefault((feed.group.id, pane), Cell())
        good, total = contribution(feed.mode.name, feed.threshold, row)
        group.good += good
        group.total += total
        if row.trace:
            group.offer((int(row.outcome != 0), -row.value, row.trace, row.time_ms))


def contribution(mode: str, threshold: float, row: Row) -> tuple[int, int]:
    """(good, total) in units of 2**-20."""
    if mode == "OUTCOME":
        return (UNIT * (row.outcome == 1), UNIT * (row.outcome < 2))
    if mode == "TOTAL":
        return 0, round(row.value * UNIT)
    return UNIT * (row.value <= threshold if mode == "AT_MOST" else row.value < threshold), UNIT


class Holder:
    """Whoever holds the partials: per cell the row with the highest as-of offset, late rows beyond it added."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[int, Cell]] = {}

    def receive(self, cells: Cells) -> None:
        """Apply one batch."""
        cells.check()
        for at in range(len(cells)):
            key = (int(cells.series[at]), int(cells.pane_ms[at]))
            as_of, held = self.cells.get(key, (-1, Cell()))
            offset = int(cells.offset[at])
            if offset <= as_of:
                continue
            row = read(cells, at)
            self.cells[key] = (offset, added(held, row) if cells.flags[at] & FLAG_LATE else row)


def read(cells: Cells, at: int) -> Cell:
    """One row as plain values."""
    mine = cells.hist_row == at
    cell = Cell(
        count=int(cells.count[at]),
        total_sum=int(cells.sum_whole[at]) + Fraction(int(cells.sum_frac[at]), 1 << 40),
        low=float(cells.low[at]) if cells.count[at] else float("inf"),
        high=float(cells.high[at]) if cells.count[at] else float("-inf"),
        good=int(cells.good[at]),
        total=int(cells.total[at]),
        fingerprint=int(cells.fingerprint[at]),
        buckets=Counter(dict(zip(cells.hist_bucket[mine].tolist(), cells.hist_count[mine].tolist(), strict=True))),
    )
    for place in np.flatnonzero(cells.exemplar_row == at):
        value, time_ms = float(cells.exemplar_value[place]), int(cells.exemplar_time_ms[place])
        cell.offer((1 - int(cells.exemplar_bad[place]), -value, cells.exemplar_trace[place].tobytes(), time_ms))
    return cell


def added(left: Cell, right: Cell) -> Cell:
    """Both."""
    out = Cell(
        left.count + right.count,
        left.total_sum + right.total_sum,
        min(left.low, right.low),
        max(left.high, right.high),
        left.good + right.good,
        left.total + right.total,
        (left.fingerprint + right.fingerprint) % (1 << 64),
        left.buckets + right.buckets,
    )
    for exemplar in (left.exemplar, right.exemplar):
        out.offer(exemplar)
    return out


DELAYS = st.sampled_from([0, 0, 0, 700, 3_000, 12_000, 25_000, 50_000, 90_000, 130_000, -4_000, -5_001])
VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 5.0, 10.0, 1e-13, 0.1, -3.5, 4096.25]), st.floats(-1e12, 1e12, allow_nan=False)
)


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """A log: broker time moves on, event times straggle, records repeat."""
    records: list[Record] = []
    append_ms = T0
    for place in range(draw(st.integers(1, 25))):
        append_ms += draw(st.sampled_from([0, 200, 2_000, 9_000, 40_000]))
        if records and draw(st.integers(0, 5)) == 0:
            again = draw(st.sampled_from(records))
            records.append(dataclasses.replace(again, offset=records[-1].offset + 1, append_ms=append_ms))
            continue
        rows = []
        for _ in range(draw(st.integers(0, 5))):
            definition = draw(st.sampled_from(SERIES))
            outcome = draw(st.integers(0, 2)) if definition.kind == MeasureKind.OUTCOME else 2
            trace = bytes([draw(st.integers(1, 3))]) * 16 if draw(st.integers(0, 3)) == 0 else b""
            rows.append(Row(definition, append_ms - draw(DELAYS), draw(VALUES), outcome, trace))
        offset = (records[-1].offset if records else 100) + draw(st.integers(1, 3))
        producer, sequence = draw(st.integers(1, 3)), place if draw(st.booleans()) else -1
        records.append(Record(offset, append_ms, tuple(rows), producer, sequence))
    return records


def fresh() -> Aggregate:
    """A new aggregate with fingerprints."""
    return Aggregate(2, PARTITIONS, some_feeds, lateness=LATENESS, fingerprint=True)


def deliver(aggregate: Aggregate, holder: Holder) -> Counter[tuple[int, str]]:
    """Drain into the holder; the refused records."""
    drained = aggregate.drain()
    for target, batch in drained.partials.items():
        assert batch.as_of == aggregate.fence
        assert all(int(series_id) % PARTITIONS == target for series_id in batch.cells.series)
        holder.receive(batch.cells)
    return Counter({(row.offset, row.reason): row.rows for row in drained.late})


@settings(max_examples=150, deadline=None)
@given(logs(), st.data())
def test_any_cut_drain_and_crash_gives_the_same_truth(records: list[Record], data: st.DataObject) -> None:
    """Chunks, ticks, drains, snapshots, crashes and zombies do not show in the merged cells."""
    truth, words = model(records)
    holder, aggregate = Holder(), fresh()
    saved, now_ms, crashes, at = snapshot(aggregate), records[0].append_ms, 3, 0
    while at < len(records):
        act = data.draw(st.sampled_from(["apply", "apply", "apply", "drain", "save", "crash", "tick"]))
        if act == "apply":
            size = data.draw(st.integers(1, 8))
            chunk = records[max(0, at - data.draw(st.integers(0, 2))) : at + size]  # may begin below the fence
            aggregate.apply(measurements(chunk, aggregate.resolve), chunk[-1].offset)
            at = min(len(records), at + size)
            now_ms = max(now_ms, chunk[-1].append_ms)
        elif act == "tick":
            now_ms += data.draw(st.sampled_from([100, 2_500, 30_000]))
            aggregate.tick(now_ms, data.draw(st.booleans()))
        elif act == "drain":
            deliver(aggregate, holder)
        elif act == "save":
            deliver(aggregate, holder)
            saved = snapshot(aggregate)
        elif crashes:
            crashes -= 1
            aggregate = fresh()
            restore(aggregate, saved)
            at = sum(record.offset <= aggregate.fence for record in records)
    for later in (1, 2, 3):
        aggregate.tick(now_ms + later * 1_000_000, True)
        deliver(aggregate, holder)
    assert {key: cell for key, (_, cell) in holder.cells.items()} == truth
    assert not aggregate.panes
    tally = aggregate.tally
    assert tally.unaccounted == 0
    assert (tally.accepted, tally.deduped) == (words["accepted"], words["deduped"])
    assert (tally.future, tally.too_late) == (words["future"], words["too_late"])
    assert tally.aggregated + tally.late == words["kept"]


@settings(max_examples=60, deadline=None)
@given(logs(), st.data())
def test_a_restored_aggregate_is_the_same_aggregate(records: list[Record], data: st.DataObject) -> None:
    """Every later batch, refusal and snapshot is equal to the byte."""
    cut = data.draw(st.integers(0, len(records)))
    one = fresh()
    if cut:
        one.apply(measurements(records[:cut], one.resolve), records[cut - 1].offset)
    one.tick(records[0].append_ms + data.draw(st.sampled_from([0, 20_000])), True)
    if data.draw(st.booleans()):
        one.drain()
    other = fresh()
    restore(other, snapshot(one))
    assert snapshot(other) == snapshot(one)
    for later in (5_000, 60_000, 900_000):
        drains = []
        for aggregate in (one, other):
            rest = records[cut:]
            if rest:
                aggregate.apply(measurements(rest, aggregate.resolve), rest[-1].offset)
            aggregate.tick(records[-1].append_ms + later, True)
            drained = aggregate.drain()
            columns = {target: (batch, batch.cells.columns()) for target, batch in drained.partials.items()}
            plain = {
                target: (dataclasses.replace(b, cells=Cells.empty()).as_of, c) for target, (b, c) in columns.items()
            }
            drains.append((plain, drained.late, drained.dropped, aggregate.tally))
        assert drains[0] == drains[1]
        assert snapshot(other) == snapshot(one)
