"""The oracle says no when it must: these are its negative controls, without a broker."""

from __future__ import annotations

from tocsin import Client, MemoryTransport

from demo.audit import compare
from demo.ledger import Cell, Ledger, LedgerTransport
from proof import controls, oracle

SERIES = ("m", "outcome", "1", "web", (("service", "shop"),))
CELLS = {(SERIES, 10_000): Cell(3, 6, 1.0, 3.0, 77), (SERIES, 20_000): Cell(2, 9, 4.0, 5.0, 78)}


def test_each_control_in_the_books_is_seen_and_the_true_books_are_exact() -> None:
    assert compare(CELLS, CELLS, {}, 0).exact
    found = controls.in_books(CELLS, CELLS, {}, seed=3)
    assert [one.name for one in found] == ["one in 1e5 dropped", "one in 1e5 doubled", "one swapped for another"]
    assert all(one.seen for one in found)
    assert (found[0].lost, found[0].doubled, found[1].lost) == (1, 0, 0)
    assert found[2].lost == 0
    assert not controls.Control("blind", 0, 0).seen


def test_books_that_are_wrong_already_prove_nothing_about_a_control() -> None:
    assert [one.seen for one in controls.in_books(CELLS, {}, {}, seed=3)] == [False]


def test_revisions_may_grow_repeat_and_be_corrected() -> None:
    revisions = oracle.Revisions()
    for revision, flags, count in ((0, 0, 5), (1, 0, 7), (0, 0, 5), (1, 0, 7), (2, oracle.FINAL, 7), (3, 12, 8)):
        revisions.row(b"s", 0, revision, flags, (count, count, count))
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
            revisions.row(b"s", 0, revision, flags, (count, count, count))
        assert len(revisions.broken) == 1, rows


def test_bounds_hold_while_fates_are_unknown() -> None:
    key = (SERIES, 10_000)
    one, two = Cell(1, 1, 1.0, 1.0, 1), Cell(2, 2, 1.0, 1.0, 2)
    assert oracle.bounds({key: one}, {key: one}, {key: two}) == []
    assert len(oracle.bounds({key: one}, {}, {key: two})) == 1
    assert len(oracle.bounds({key: two}, {}, {key: one})) == 1


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
    twice = controls.without_dedupe(ledger.truth, [*values, *values], lambda cells: cells)
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
