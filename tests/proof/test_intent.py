"""The journal is on the disk before a send, and knows the fate of every batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tocsin import Client, MemoryTransport, OnResult, Rejected

from demo import windows
from proof.intent import METRIC, Journal, JournalTransport, Load, burst, partition_of, read

PARTITIONS = 4
PATIENCE_S = 10.0


class Failing(MemoryTransport):
    """Answers what it is told to, and shows what the journal held when it was called."""

    def __init__(self, path: Path, *errors: Exception | None) -> None:
        super().__init__()
        self.path, self.errors, self.seen = path, list(errors), []

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        self.seen.append(len(read(self.path).intended))
        on_result(self.errors.pop(0))


def journal_of(path: Path, *errors: Exception | None) -> Failing:
    journal = Journal(path)
    inner = Failing(path, *errors)
    transport = JournalTransport(inner, journal)
    with Client(
        transport=transport, kind="web", service="s", source="s-1", flush_interval=60.0, report=False
    ) as client:
        burst(client, 3, 2)
        client.flush(5)
    journal.close()
    return inner


def test_an_intent_is_written_before_the_send_and_settled_after(tmp_path: Path) -> None:
    path = tmp_path / "journal.tsv"
    assert journal_of(path, None).seen == [1]
    books = read(path)
    assert list(books.intended.values()) == [5]
    assert books.acknowledged == set(books.intended)
    assert not books.unknown


def test_a_batch_of_unknown_fate_is_sent_again_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.tsv"
    assert journal_of(path, ConnectionError("gone"), None).seen == [1, 1]
    assert not read(path).unknown
    assert path.read_text().count("INTENT") == 2


def test_what_is_rejected_or_torn_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.tsv"
    journal_of(path, Rejected("too large"))
    books = read(path)
    assert (len(books.rejected), len(books.acknowledged), len(books.unknown)) == (1, 0, 0)
    path.write_text("INTENT\ts\tb\t1\t5\nACK\ts\tb\t", encoding="utf-8")  # the last line was cut off
    assert read(path).unknown == {("s", "b", 1)}


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def services(load: Load) -> set[str]:
    return {dict(series[4])["service"] for (series, _) in load.truth()}


def test_a_load_from_its_first_request_to_silence(tmp_path: Path) -> None:
    load = Load("127.0.0.1:9", tmp_path / "journal.tsv", 1, 400, PARTITIONS, "http://127.0.0.1:9")
    for kept in (load.noted, *load.timed):
        kept.inner = MemoryTransport()
    with load:
        wait_for(lambda: len(services(load)) == 3 * PARTITIONS)
        assert len(load.behind) == PARTITIONS
        waits, failed = load.waits(0.0)
        assert len(waits) >= PARTITIONS
        assert failed == 0
        assert load.longest_s() == 0.0
        assert {partition_of(service, PARTITIONS) for service in services(load)} == set(range(PARTITIONS))
        assert not load.told.outcomes()
        assert not load.ledger.outcomes()  # nobody expects pages of those
        ailing = load.failing("ill")
        load.ailing.add(ailing)
        wait_for(lambda: "ill" in services(load))
        load.ailing.discard(ailing)
        load.well.add(load.client("well again"))
        wait_for(lambda: "well again" in services(load))
        with load.paused():
            assert load.unknown == 0
            assert load.accepted == load.acknowledged
            before = load.acknowledged
            ((series, (_, good)),) = load.told.outcomes().items()
            assert series[0] == METRIC
            assert not good.any()
            time.sleep(0.2)
            assert load.acknowledged == before
    books = read(tmp_path / "journal.tsv")
    assert not books.unknown
    assert sum(books.intended.values()) == load.acknowledged
    assert load.given_up == 0


def test_the_hour_before_is_over_and_has_a_window_of_each_length(tmp_path: Path) -> None:
    load = Load("127.0.0.1:9", tmp_path / "journal.tsv", 1, 1, PARTITIONS, "http://127.0.0.1:9")
    load.noted.inner = MemoryTransport()
    now_ms = 1_800_000_000_000 + 60_000  # a minute after an hour began
    load.hour_before(now_ms)
    truth = load.truth()
    load.close()
    assert {partition_of(dict(series[4])["service"], PARTITIONS) for series, _ in truth} == set(range(PARTITIONS))
    assert load.acknowledged == 2 * PARTITIONS * 60
    starts = {window_ms: {start for _, start in windows.summed(truth, window_ms)} for window_ms in windows.LENGTHS_MS}
    assert starts[300_000] == {1_800_000_000_000 - 300_000}
    assert starts[3_600_000] == {1_800_000_000_000 - 3_600_000}
    assert max(start for _, start in truth) - min(start for _, start in truth) < 120_000  # none is too late for another


def test_the_longest_time_without_an_acknowledgement_is_told_by_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, now = Journal(tmp_path / "journal.tsv"), [0.0]
    monkeypatch.setattr("proof.intent.time.monotonic", lambda: now[0])
    for at, source in ((0.0, "a"), (1.0, "b"), (2.0, "a"), (9.0, "b"), (2.5, "a")):
        now[0] = at
        journal.write("INTENT", (source, "boot", 1), 1)
        journal.write("ACK", (source, "boot", 1), 1)
    assert journal.gap_s({"a"}) == 2.0
    assert journal.gap_s({"a", "b", "c"}) == 8.0
    now[0] = 20.0
    assert journal.gap_s({"a", "b"}, afresh=True) == 0.0
    now[0] = 23.0
    journal.write("ACK", ("a", "boot", 2), 1)
    assert journal.gap_s({"a", "b"}) == 3.0
    journal.close()
