"""The aggregate's step: telemetry to partials and letters. What is counted is for `rollups`; this is how it comes and goes."""

import itertools

import pytest
from structlog.testing import capture_logs

from demo.workers import ROOT
from schemas import codec, corrupt
from schemas.cells import FLAG_SLO
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch, encode_event
from schemas.records import DeadLetter, LateRecord, MeasureKind, PartialBatch, SourceKind
from schemas.telemetry import TelemetryDecoder
from streams import selfmetrics, topics
from streams.aggregate import AggregateStep
from streams.records import Record, Records
from streams.settings import Settings

T0 = 1_800_000_000_000
WEB = Resource("shop", "1", "", "eu", SourceKind.WEB, {})
SIZE = SeriesEntry("http.size", MeasureKind.HISTOGRAM, "By", {"route": "/a"})
SETTINGS = Settings(partitions=2, slo_path=ROOT / "examples" / "slos")


def step(partition: int = 1) -> AggregateStep:
    return AggregateStep(partition, SETTINGS, lambda _: (), "hash", lambda a: TelemetryDecoder(a.resolve))


def event(at_ms: int, sequence: int = -1, value: float = 5.0) -> bytes:
    return encode_event(SIZE, WEB, Producer("web-1", "b"), time_ms=at_ms, value=value, sequence=sequence)


def log(*values: bytes, first: int = 0, at_ms: int = T0) -> Records:
    return Records.of([Record(o, at_ms, value, None) for o, value in zip(itertools.count(first), values, strict=False)])


def drained(one: AggregateStep, now_ms: int, *, caught_up: bool = True) -> dict[str, list]:
    """What a checkpoint sends, decoded, by topic."""
    one.tick(now_ms, caught_up)
    found: dict[str, list] = {}
    for out in one.drain():
        found.setdefault(out.topic, []).append((out, codec.decode(out.value)))
    return found


def counted(found: dict[str, list]) -> int:
    return sum(int(batch.cells.count.sum()) for _, batch in found.get(topics.PARTIALS, []))


def test_every_target_hears_where_the_source_is():
    one = step()
    one.apply(log(event(T0), event(T0 + 1), event(T0 + 30_000)))
    sent = drained(one, T0 + 30_000)[topics.PARTIALS]
    assert [out.partition for out, _ in sent] == [0, 1]
    assert {out.key for out, _ in sent} == {b"1"}
    for _, batch in sent:
        assert isinstance(batch, PartialBatch)
        assert (batch.partition, batch.as_of, batch.now_ms) == (1, 2, T0 + 30_000)
    assert sum(int(batch.cells.count.sum()) for _, batch in sent) == 2  # the first window is closed


def test_what_the_fence_has_seen_is_not_applied_again():
    one = step()
    records = log(event(T0), b"broken", event(T0 + 1))
    one.apply(records[:2])
    one.apply(records)
    one.apply(records[:1])
    assert one.fence == 2
    found = drained(one, T0 + 60_000)
    one.apply(log(event(T0 + 60_000), first=3))
    later = drained(one, T0 + 60_000)
    assert counted(found) + counted(later) == 2
    assert len(found[topics.DLQ]) == 1
    assert topics.DLQ not in later


@pytest.mark.parametrize(
    ("value", "reason", "byte"),
    [
        (b"not avro", corrupt.FRAMING, 0),
        (event(T0) + b"x", corrupt.TRAILING, len(event(T0))),
        (b"", corrupt.FRAMING, 0),
    ],
)
def test_an_unreadable_record_leaves_with_its_reason_byte_and_place(value, reason, byte):
    one = step()
    one.apply(log(event(T0), value, event(T0), first=40, at_ms=T0 + 9))
    ((out, letter),) = drained(one, T0)[topics.DLQ]
    assert isinstance(letter, DeadLetter)
    assert (out.key, out.partition) == (b"1/41", 1)
    assert (letter.source_topic, letter.partition, letter.offset) == (topics.TELEMETRY, 1, 41)
    assert (letter.reason, letter.byte, letter.original, letter.timestamp_ms) == (reason, byte, value, T0 + 9)
    assert one.fence == 42


@pytest.mark.parametrize(("at_ms", "reason"), [(T0 - 3_600_000, "too_late"), (T0 + 3_600_000, "future")])
def test_what_comes_out_of_time_leaves_with_its_original_bytes(at_ms, reason):
    one = step()
    refused = selfmetrics.REFUSED.labels(reason)._value.get()
    one.apply(log(event(T0), event(at_ms), event(T0)))
    ((out, letter),) = drained(one, T0)[topics.LATE]
    assert isinstance(letter, LateRecord)
    assert (letter.offset, letter.reason, letter.original) == (1, reason, event(at_ms))
    assert letter.detail == f"1 measurements of the record, the oldest at {at_ms}"
    assert out.partition == 1
    assert selfmetrics.REFUSED.labels(reason)._value.get() == refused + 1


def test_a_source_whose_clock_is_wrong_is_counted_in_its_time_and_the_letter_says_so():
    one = step()
    before = {clock: selfmetrics.SKEW.labels(clock)._value.get() for clock in ("ahead", "behind", "unclear")}
    wrong = T0 + 7_200_000

    def batch(at_ms: int, sequence: int) -> bytes:
        return encode_batch(
            [SIZE], WEB, Producer("web-1", "b"), base_ms=at_ms, series=[0], delta_ms=[0], value=[1.0], sequence=sequence,
            stamps=(wrong, 100, wrong + 30, 130),
        )  # fmt: skip

    one.apply(log(event(T0), batch(wrong, 0), batch(wrong - 3_600_000, 1)))
    found = drained(one, T0 + 60_000)
    ((_, letter),) = found[topics.LATE]
    assert letter.original == batch(wrong - 3_600_000, 1)
    assert letter.detail.endswith(f"at {T0 - 3_600_030}, after {-7_200_030} ms were added for its source's clock")
    assert counted(found) + counted(drained(one, T0 + 120_000)) == 2
    gained = {clock: selfmetrics.SKEW.labels(clock)._value.get() - count for clock, count in before.items()}
    assert gained == {"ahead": 2, "behind": 0, "unclear": 0}


def test_a_restored_step_goes_on_as_the_first_would_have():
    first, second = step(), step()
    first.apply(log(event(T0, 0, 3.0), event(T0 + 1, 1, 4.0)))
    drained(first, T0 + 2)
    second.restore(first.snapshot())
    assert second.fence == first.fence == 1
    for one in (first, second):
        one.apply(log(event(T0 + 1, 1, 4.0), event(T0 + 5, 2), event(T0 + 40_000, 3), first=2))  # the first is a repeat
    sent = [[out.value for out, _ in drained(one, T0 + 40_000)[topics.PARTIALS]] for one in (first, second)]
    assert sent[0] == sent[1]
    assert sum(int(codec.decode(value).cells.count.sum()) for value in sent[0]) == 3


def test_slo_groups_leave_while_their_window_is_open():
    from alerts.config import read_config
    from alerts.selection import Selection

    config = read_config(SETTINGS.slo_path)
    one = AggregateStep(0, SETTINGS, Selection(config), config.hash, lambda a: TelemetryDecoder(a.resolve))
    request = SeriesEntry("http.request", MeasureKind.OUTCOME, "1", {})
    one.apply(log(encode_event(request, WEB, Producer(), time_ms=T0, value=1.0, outcome=0)))
    cells = [batch.cells for _, batch in drained(one, T0)[topics.PARTIALS] if len(batch.cells)]
    assert [(block.flags.tolist(), (block.total >> 20).tolist(), block.good.tolist()) for block in cells] == [
        ([FLAG_SLO], [1], [0])
    ]


def test_its_gauges_go_with_the_partition():
    one = step(9)
    one.apply(log(event(T0)))
    drained(one, T0)
    assert b'tocsin_unaccounted_events{partition="9",stage="aggregate"} 0.0' in selfmetrics.exposition()
    assert b'tocsin_series{partition="9"} 1.0' in selfmetrics.exposition()
    one.close()
    assert b'partition="9"' not in selfmetrics.exposition()


def test_nothing_is_urgent_here():
    one = step()
    one.apply(log(event(T0)))
    assert not one.urgent
    assert not one.wants_snapshot
    one.settled()


def test_that_no_more_series_fit_is_said_once_a_minute_and_who_brought_them():
    def flood(first: int) -> Records:
        entries = [
            SeriesEntry("http.size", MeasureKind.GAUGE, "By", {"user": f"u{n}"}) for n in range(first, first + 9)
        ]
        sent = [encode_event(e, WEB, Producer("web-1", "b"), time_ms=T0, value=1.0, sequence=-1) for e in entries]
        return log(*sent, first=first)

    def said(one: AggregateStep, now_ms: int) -> list[dict]:
        with capture_logs() as lines:
            drained(one, now_ms)
        return [line for line in lines if line["event"] == "series_limit"]

    small = SETTINGS.model_copy(update={"max_series": 5})
    one = AggregateStep(1, small, lambda _: (), "hash", lambda a: TelemetryDecoder(a.resolve))
    one.apply(flood(0))
    (line,) = said(one, T0)
    newest = line["newest"]
    assert (newest["service"], newest["metric"], newest["label"], newest["values"]) == ("shop", "http.size", "user", 5)
    assert "TOCSIN_MAX_SERIES" in line["do"]
    one.apply(flood(9))
    assert not said(one, T0 + 59_999)
    assert said(one, T0 + 60_000)
    assert not said(one, T0 + 120_000)  # none came since
    another = AggregateStep(1, small, lambda _: (), "hash", lambda a: TelemetryDecoder(a.resolve))
    another.restore(one.snapshot())
    assert not said(another, T0 + 200_000)
    another.apply(flood(18))
    assert said(another, T0 + 200_000)
