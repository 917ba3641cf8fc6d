"""The merge's step: partials to rollups, status and alerts. Fed with what the aggregate's step really sends."""

import dataclasses
import itertools

import numpy as np

from alerts.config import read_config
from alerts.incident import incident_key
from alerts.notify import labels_of
from alerts.route import Routes
from alerts.selection import Selection
from demo.workers import ROOT
from schemas import codec, corrupt
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch
from schemas.records import (
    AlertTransition,
    DeadLetter,
    LateRecord,
    MeasureKind,
    PartialBatch,
    RollupBatch,
    SloGroup,
    SloStatus,
    SourceKind,
    short_hash,
)
from schemas.telemetry import TelemetryDecoder
from streams import topics
from streams.aggregate import AggregateStep
from streams.merge import MergeStep
from streams.records import Record, Records
from streams.settings import Settings
from tests.cli.build import ALERT

T0 = 1_800_000_000_000
PARTITIONS = 4
SETTINGS = Settings(partitions=PARTITIONS, slo_path=ROOT / "examples" / "slos")
CONFIG = read_config(SETTINGS.slo_path)
SELECTION = Selection(CONFIG)
ROUTES = Routes({"all": ("hook",)}, ("all",), (), ("slo", "service"))
REQUEST = SeriesEntry("http.request", MeasureKind.OUTCOME, "1", {})
GROUP = SloGroup("web-availability", 0, {"service": "shop"})
TARGET = GROUP.id % PARTITIONS  # the partition that judges it


class Log:
    """A source partition: outcomes in, partials for one merge partition out, with the offsets of one log."""

    def __init__(self, target: int = TARGET) -> None:
        self.target = target
        self.source = [
            AggregateStep(p, SETTINGS, SELECTION, CONFIG.hash, lambda a: TelemetryDecoder(a.resolve))
            for p in range(PARTITIONS)
        ]
        self.offset = itertools.count()
        self.sequence = itertools.count()
        self.fed = itertools.count()

    def partials(self, at_ms: int, good: int = 0, bad: int = 0, now_ms: int = 0) -> list[Record]:
        """Partials after so many outcomes at `at_ms` in source partition 0; the others only say what time it is."""
        if good + bad:
            value = encode_batch(
                [REQUEST], Resource("shop", "", "", "", SourceKind.WEB, {}), Producer("web-1", "b"), base_ms=at_ms,
                series=np.zeros(good + bad, np.int64), delta_ms=np.zeros(good + bad, np.int64),
                value=np.ones(good + bad), outcome=np.array([1] * good + [0] * bad), sequence=next(self.sequence),
            )  # fmt: skip
            self.source[0].apply(Records.of([Record(next(self.fed), at_ms, value, None)]))
        found = []
        for step in self.source:
            step.tick(now_ms or at_ms, True)
            found += [out.value for out in step.drain() if out.partition == self.target]
        return [Record(next(self.offset), now_ms or at_ms, value, None) for value in found]


def step() -> MergeStep:
    return MergeStep(TARGET, SETTINGS, CONFIG, ROUTES)


def drained(one: MergeStep) -> list[tuple]:
    return [(out, codec.decode(out.value)) for out in one.drain()]


def of(kind: type, found: list[tuple]) -> list[tuple]:
    return [(out, record) for out, record in found if isinstance(record, kind)]


def burnt(log: Log, one: MergeStep) -> None:
    one.apply(log.partials(T0, good=100))
    one.drain()
    one.apply(log.partials(T0 + 1_000, bad=60))


def test_an_alert_is_urgent_and_goes_first_to_the_partition_of_its_incident():
    log, one = Log(), step()
    one.apply(log.partials(T0, good=100))
    assert not one.urgent
    one.drain()
    one.apply(log.partials(T0 + 1_000, bad=60))
    assert one.urgent
    found = drained(one)
    assert not one.urgent
    out, alert = found[0]
    assert isinstance(alert, AlertTransition)
    assert (alert.severity, alert.labels, alert.event_ms) == ("page", {"service": "shop"}, T0 + 1_000)
    assert (alert.partition, alert.config_hash) == (TARGET, CONFIG.hash)
    key = incident_key(labels_of(alert), ROUTES.group_by)
    assert out.partition == short_hash(key.encode()) % PARTITIONS
    assert out.key == alert.alert_id.encode()
    assert alert.burn[0].long_total == 160.0


def test_status_is_kept_by_group_and_only_the_newest_leaves():
    log, one = Log(), step()
    for number in range(3):
        one.apply(log.partials(T0 + number * 6_000, good=10))
    ((out, status),) = of(SloStatus, drained(one))
    assert out.key == GROUP.canonical()
    assert (out.topic, out.partition) == (topics.SLO_STATUS, TARGET)
    assert (status.state, status.event_ms) == ("healthy", T0 + 12_000)
    assert not of(SloStatus, drained(one))


def test_windows_leave_when_every_source_partition_has_passed_them():
    found = []
    for log in [Log(target=p) for p in range(PARTITIONS)]:  # one of them is the series' own partition
        one = MergeStep(log.target, SETTINGS, CONFIG, ROUTES)
        one.apply(log.partials(T0, good=7, bad=2))
        assert not of(RollupBatch, drained(one))
        one.apply(log.partials(T0 + 60_000, good=1, now_ms=T0 + 60_000))
        found += [(log.target, *row) for row in of(RollupBatch, drained(one))]
    tens = [(target, out, batch) for target, out, batch in found if batch.window_ms == 10_000]
    ((target, out, batch),) = tens
    assert out.key == f"10000/{T0}/{target}/{batch.batch}".encode()
    assert (out.topic, out.partition, batch.partition) == (topics.ROLLUPS, target, target)
    assert (batch.start_ms, batch.cells.count.tolist(), (batch.cells.good >> 20).tolist()) == (T0, [9], [7])


def test_what_the_fence_has_seen_changes_nothing():
    log, one = Log(), step()
    first, second = log.partials(T0, good=100), log.partials(T0 + 1_000, bad=60)
    one.apply(first)
    one.apply(first + second)
    one.apply(second)
    assert one.fence == second[-1].offset
    assert len(of(AlertTransition, drained(one))) == 1
    one.apply(first + second)
    assert drained(one) == []


def test_partials_that_were_written_twice_change_nothing():
    log, one = Log(), step()
    burnt(log, one)
    one.drain()
    again = Log()
    repeats = [*again.partials(T0, good=100), *again.partials(T0 + 1_000, bad=60)]
    one.apply([Record(one.fence + 1 + number, r.timestamp_ms, r.value, None) for number, r in enumerate(repeats)])
    found = drained(one)
    assert not of(AlertTransition, found)
    assert {(s.good >> 20, s.total >> 20) for _, s in of(SloStatus, found)} <= {(100, 160)}


def test_a_restored_step_goes_on_as_the_first_would_have():
    log, first, second = Log(), step(), step()
    burnt(log, first)
    first.drain()
    second.restore(first.snapshot())
    assert second.fence == first.fence
    more = [record for n in range(5) for record in log.partials(T0 + 2_000 + n, good=2_000)]
    more += log.partials(T0 + 60_000, good=1)
    first.apply(more)
    second.apply(more)
    sent, sent_again = first.drain(), second.drain()
    assert [(out.topic, out.key, out.value, out.partition) for out in sent] == [
        (out.topic, out.key, out.value, out.partition) for out in sent_again
    ]
    alerts = of(AlertTransition, [(out, codec.decode(out.value)) for out in sent])
    assert [alert.severity for _, alert in alerts][-1:] == ["none"]
    assert first.snapshot() == second.snapshot()


def test_rows_of_a_forgotten_window_become_a_letter():
    logs = [Log(target=p) for p in range(PARTITIONS)]
    letters = []
    for log in logs:
        one = MergeStep(log.target, SETTINGS, CONFIG, ROUTES)
        old = Log(target=log.target)
        stale = [*old.partials(T0, good=3), *old.partials(T0 + 60_000, good=1)]
        one.apply(log.partials(T0 + 7_200_000, good=1))
        one.apply(log.partials(T0 + 7_300_000, good=1))
        one.drain()
        records = [Record(one.fence + 1 + n, 77, r.value, None) for n, r in enumerate(stale)]
        one.apply(records)
        letters += of(LateRecord, drained(one))
    assert letters
    counts = 0
    for out, letter in letters:
        assert out.topic == topics.LATE
        assert (letter.source_topic, letter.reason, letter.timestamp_ms) == (topics.PARTIALS, "beyond_horizon", 77)
        kept = codec.decode(letter.original)
        assert isinstance(kept, PartialBatch)
        counts += int(kept.cells.count.sum())
    assert counts == 3


def poison(record: Record) -> list[tuple[bytes, str]]:
    """(bytes, reason) of what must not touch the state: unreadable, misplaced, inconsistent, out of bounds."""
    batch = codec.decode(record.value)
    late = tuple(time_ms + 10**9 for time_ms in batch.max_event_ms)
    return [
        (b"not avro", corrupt.FRAMING),
        (record.value[:-1], corrupt.LENGTH),
        (codec.encode(ALERT), corrupt.UNKNOWN_SCHEMA),
        (codec.encode(dataclasses.replace(batch, partition=PARTITIONS, watermarks=late)), corrupt.VALUE),
        (codec.encode(dataclasses.replace(batch, watermarks=late[:1])), corrupt.COLUMNS),
        (codec.encode(broken(batch, "count", batch.cells.count[:-1])), corrupt.COLUMNS),
        (codec.encode(broken(batch, "exemplar_row", np.array([9], np.int32))), corrupt.COLUMNS),
        (codec.encode(broken(batch, "low", batch.cells.low + np.nan)), corrupt.VALUE),
    ]


def broken(batch: PartialBatch, column: str, values: np.ndarray) -> PartialBatch:
    return dataclasses.replace(batch, cells=dataclasses.replace(batch.cells, **{column: values}))


def test_poison_becomes_dead_letters_and_leaves_no_trace_in_what_follows():
    log, clean, poisoned, again = Log(), step(), step(), step()
    good = [*log.partials(T0, good=100), *log.partials(T0 + 1_000, bad=60), *log.partials(T0 + 60_000, good=1)]
    bad = poison(next(r for r in good if len(codec.decode(r.value).cells)))
    values = [value for value, _ in bad]
    mixed = [value for at, record in enumerate(good) for value in (*values[at : at + 1], record.value)]
    mixed += values[len(good) :]
    records = [Record(at, T0, value, None) for at, value in enumerate(mixed)]
    clean.apply([Record(at, T0, record.value, None) for at, record in enumerate(good)])
    poisoned.apply(records)
    for record in records:  # in other chunks, as a replay may cut them
        again.apply([record])
    found, expected = drained(poisoned), drained(clean)
    letters = of(DeadLetter, found)
    assert {(letter.original, letter.reason) for _, letter in letters} == set(bad)
    assert {(letter.source_topic, letter.partition) for _, letter in letters} == {(topics.PARTIALS, TARGET)}
    assert all(records[letter.offset].value == letter.original for _, letter in letters)
    assert poisoned.fence == len(records) - 1
    assert letters == of(DeadLetter, drained(again))
    assert poisoned.snapshot() == again.snapshot()
    assert [(s.good, s.total, s.state) for _, s in of(SloStatus, found)] == [
        (s.good, s.total, s.state) for _, s in of(SloStatus, expected)
    ]
    assert [a.transition_id for _, a in of(AlertTransition, found)] == [
        a.transition_id for _, a in of(AlertTransition, expected)
    ]
    assert len(of(RollupBatch, found)) == len(of(RollupBatch, expected))


def test_the_fence_passes_poison_and_a_replay_takes_it_no_second_time():
    one = step()
    bad = [Record(offset, T0, b"not avro", None) for offset in range(3)]
    one.apply(bad)
    assert one.fence == 2
    after = step()
    after.restore(one.snapshot())
    assert len(of(DeadLetter, drained(one))) == 3
    for again in (one, after):
        again.apply(bad)
        assert (again.fence, drained(again)) == (2, [])


def test_time_is_in_the_partials_and_nothing_waits_here():
    one = step()
    one.tick(T0, True)
    one.settled()
    one.close()
    assert (one.fence, one.wants_snapshot, one.drain()) == (-1, False, [])
