"""The journal is on the disk before a send, and knows the fate of every batch."""

from __future__ import annotations

from pathlib import Path

from tocsin import Client, MemoryTransport, OnResult, Rejected

from proof.intent import Journal, JournalTransport, burst, read


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
