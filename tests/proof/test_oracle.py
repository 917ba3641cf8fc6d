"""The oracle says no when it must: these are its negative controls, without a broker."""

from __future__ import annotations

import numpy as np
from tocsin import Client, MemoryTransport

from demo.audit import compare
from demo.ledger import Cell, Ledger, LedgerTransport
from proof import controls, falsified, oracle
from schemas import codec
from schemas.cells import Cells
from schemas.records import MeasureKind, RollupBatch, SeriesDefinition, SourceKind

SERIES = ("m", "outcome", "1", "web", (("service", "shop"),))
CELLS = {
    (SERIES, 10_000): Cell(3, 6, 1.0, 3.0, 77, 2, 3, ((320, 1), (328, 2))),
    (SERIES, 20_000): Cell(2, 9, 4.0, 5.0, 78, 2, 2, ((336, 2),)),
}


def test_each_control_in_the_books_is_seen_and_the_true_books_are_exact() -> None:
    assert compare(CELLS, CELLS, {}, 0).exact
    found = falsified.in_books(CELLS, CELLS, {}, seed=3)
    assert [one.name for one in found] == [
        "one in 1e5 dropped", "one in 1e5 doubled", "one swapped for another", "one good told as bad",
        "one in the next bucket", "one dropped from a minute",
    ]  # fmt: skip
    assert all(one.seen for one in found)
    assert (found[0].lost, found[0].doubled, found[1].lost) == (1, 0, 0)
    assert [one.lost for one in found[2:]] == [0, 0, 0, 1]
    assert not controls.Control("blind", 0, 0).seen


def test_books_that_are_wrong_already_prove_nothing_about_a_control() -> None:
    assert [one.seen for one in falsified.in_books(CELLS, {}, {}, seed=3)] == [False]


def test_a_control_on_numbered_records_is_judged_as_books_are() -> None:
    truth = controls.numbered(range(5))
    found = controls.answer("some lost, one twice", truth, controls.numbered([0, 1, 1, 4]), {})
    assert (found.lost, found.doubled) == (2, 1)
    assert not controls.answer("exact", truth, controls.numbered(range(5)), {}).seen


def test_revisions_may_grow_repeat_and_be_corrected() -> None:
    revisions = oracle.Revisions()
    for revision, flags, count in ((0, 0, 5), (1, 0, 7), (0, 0, 5), (1, 0, 7), (2, oracle.FINAL, 7), (3, 12, 8)):
        revisions.row((60_000, b"s", 0), revision, flags, (count, count, count))
    assert revisions.broken == []
    assert revisions.rows == 6


def test_revisions_that_shrink_contradict_themselves_or_are_provisional_again_are_seen() -> None:
    for rows in (
        ((0, 0, 5), (1, 0, 4)),
        ((0, 0, 5), (0, 0, 6)),
        ((0, oracle.FINAL, 5), (1, 0, 5)),
    ):
        revisions = oracle.Revisions()
        for revision, flags, count in rows:
            revisions.row((60_000, b"s", 0), revision, flags, (count, count, count))
        assert len(revisions.broken) == 1, rows


def batch_of(window_ms: int, revision: int, bucket: int = 320, good: int = 1) -> bytes:
    """A batch of one rollup row."""
    canonical = SeriesDefinition("m", MeasureKind.OUTCOME, "1", SourceKind.WEB, {}).canonical()
    row = Cells.of(
        1,
        pane_ms=np.array([60_000]),
        revision=np.array([revision], np.int32),
        count=np.ones(1, np.int64),
        good=np.array([good << 20]),
        hist_row=np.zeros(1, np.int32),
        hist_bucket=np.array([bucket], np.int32),
        hist_count=np.ones(1, np.int64),
        definition_end=np.array([len(canonical)]),
        definition_bytes=np.frombuffer(canonical, np.uint8),
    )
    return codec.encode(RollupBatch(window_ms, 60_000, 0, 0, (0, 0, 0, 0), row))


def test_one_revision_of_a_window_of_any_length_says_one_thing_of_outcomes_and_histogram_too() -> None:
    for again in ({"bucket": 321}, {"good": 0}):
        revisions = oracle.Revisions()
        for value in (batch_of(10_000, 0), batch_of(60_000, 0), batch_of(60_000, 0), batch_of(60_000, 1, 328, 0)):
            for row in oracle.rows_of(value):
                revisions.row(*row)
        assert revisions.broken == []
        for row in oracle.rows_of(batch_of(60_000, 0, **again)):
            revisions.row(*row)
        assert len(revisions.broken) == 1
        assert revisions.broken[0].startswith("revision 0 of 60 s from 60000 said ")


def test_what_kafka_escapes_is_read_back() -> None:
    data = bytes(range(256)) + b"\\x41"
    written = b"".join(bytes([b]) if 32 <= b < 127 and b != 92 else b"\\x%02X" % b for b in data)
    assert oracle.unescape(written) == data


def test_a_raw_log_counts_each_batch_once_and_notes_what_is_none() -> None:
    kept, ledger = MemoryTransport(), Ledger()
    with Client(
        transport=LedgerTransport(kept, ledger), kind="web", service="shop", source="shop-1", flush_interval=60.0
    ) as client:
        client.outcome("m").observe(good=True, value=3.0, time_ms=12_345)
    values = [value for _, value in kept.records]
    hostile = MemoryTransport()
    with Client(transport=hostile, kind="web", service="h", source="h-1", flush_interval=60.0) as client:
        client.gauge("m").set(0.5)
    cells, unreadable = oracle.cells_in([*values, b"not avro", *values, hostile.records[0][1]])
    assert cells == ledger.truth
    assert unreadable == 2
    assert [oracle.repeated([*values, b"not avro", *values], of) for of in ({"shop-1"}, {"other"})] == [1, 0]
    twice = falsified.without_dedupe(ledger.truth, [*values, *values], lambda cells: cells)
    assert (twice.lost, twice.doubled) == (0, 1)


def test_a_topic_is_read_at_once_or_around_what_no_reader_can_hold() -> None:
    ends = {0: (0, 10), 1: (3, 9), 2: (0, 0)}
    (whole,) = oracle.spans(ends)
    assert (whole.count, whole.options) == (16, ["--from-beginning"])
    parts = oracle.spans(ends, {(1, 5), (1, 6), (0, 9)})
    assert [(one.partition, one.offset, one.count, one.exactly) for one in parts] == [
        (0, 0, 9, True), (1, 3, 2, True), (1, 7, 2, False),
    ]  # fmt: skip
    assert parts[1].options == ["--partition", "1", "--offset", "3", "--command-property", "max.poll.records=1"]
