"""Group: what the disk did not take goes to whoever takes it first, and is promised by who has it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tocsin import Client, Full, MemoryTransport, OnResult, Transport, limits
from tocsin.disk import Disk
from tocsin.encode import Batch
from tocsin.group import Group

from demo.wire import read_batch
from tests.client.spooled import Failing


def numbered(begin: int) -> Batch:
    made = Batch(begin, 1, b"top", b"tail")
    made.begin = begin
    return made


def test_what_comes_back_waits_in_its_place_and_the_oldest_is_the_oldest_of_all() -> None:
    group, batches = Group(), [numbered(number) for number in range(4)]
    group.add(batches)
    sent = [group.send() for _ in range(3)]
    assert sent == batches[:3]
    assert group.oldest is batches[0]
    group.take_back(batches[1])
    assert group.waiting == [batches[1], batches[3]]
    assert group.send() is batches[1]
    group.done(batches[0])
    assert group.oldest is batches[1], "not the one that was sent first"
    group.done(batches[1])
    group.done(batches[2])
    assert group.oldest is batches[3]
    group.written(1)
    assert (group.oldest, group.size) == (None, 0)


class Changing:
    """A destination that answers as it is told to: with success, an error, Full, or not yet."""

    def __init__(self, answer: Exception | None) -> None:
        self.answer, self.silent = answer, False
        self.open: list[OnResult] = []
        self.taken: list[bytes] = []

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        if isinstance(self.answer, Full):
            raise self.answer
        if self.silent:
            self.open.append(on_result)
            return
        if self.answer is None:
            self.taken.append(value)
        on_result(self.answer)

    def flush(self, timeout: float) -> int:
        return len(self.open)


def faulty(root: Path, transport: Transport, disk: Disk) -> Client:
    """A client whose thread does nothing by itself."""
    made = Client(
        source="car-1", service="x", transport=transport, spool=str(root), report=False, flush_interval=3600,
        catch_up_jitter=0.0,
    )  # fmt: skip
    assert made._spool is not None
    made._spool.disk = made._spool.lives.disk = disk
    return made


def test_while_the_disk_fails_a_healthy_destination_gets_everything(tmp_path: Path) -> None:
    transport, disk = MemoryTransport(), Failing()
    made = faulty(tmp_path, transport, disk)
    disk.failing = {"write"}
    gauge = made.gauge("g")
    for value in range(3_000):
        gauge.set(float(value))
        if value % 1_000 == 999:
            assert made.commit(10), "acknowledged, and so promised"
    stats = made.stats
    assert (stats.delivered, stats.spooled, stats.in_flight) == (3_000, 0, 0)
    assert "No space left" in stats.trouble
    disk.failing = set()
    made._spool._retry_at = 0.0  # type: ignore[union-attr]
    gauge.set(-1.0)
    assert made.commit(10)
    assert (made.stats.syncs, made.stats.trouble) == (1, "")
    assert made.close(10)
    found = [value for _, one in transport.records for value in read_batch(one).value.tolist()]
    assert found == [*map(float, range(3_000)), -1.0]


@pytest.mark.parametrize("answer", [TimeoutError("unknown"), Full("away")], ids=["unknown", "full"])
def test_what_neither_disk_nor_destination_took_goes_to_the_first_that_takes_it(
    tmp_path: Path, answer: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.01)
    monkeypatch.setattr(limits, "DISK_RETRY", 0.01)
    transport, disk = Changing(answer), Failing()
    made = faulty(tmp_path, transport, disk)
    disk.failing = {"sync"}
    for value in range(5):
        made.gauge("g").set(float(value))
        assert not made.commit(0.03)
    assert made.stats.in_flight + made.stats.buffered == 5
    disk.failing = set()
    assert made.commit(10)
    assert (made.stats.spooled, made.stats.in_flight) == (5, 0)
    transport.answer = None
    assert made.flush(10)
    assert made.close(10)
    assert [value for one in transport.taken for value in read_batch(one).value.tolist()] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert list(tmp_path.iterdir()) == []


def test_commit_waits_for_what_only_memory_has_although_the_disk_has_more(tmp_path: Path) -> None:
    transport, disk = Changing(None), Failing()
    transport.silent = True
    made = faulty(tmp_path, transport, disk)
    disk.failing = {"write"}
    made.gauge("g").set(1.0)
    assert not made.commit(0)
    assert len(transport.open) == 1
    disk.failing = set()
    made._spool._retry_at = 0.0  # type: ignore[union-attr]
    done: list[bool] = []
    cycle, asked = made._pump.cycle, threading.Event()

    def watched(tallies: bool = False) -> bool:
        asked.set()
        return cycle(tallies)

    made._pump.cycle = watched  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: done.append(made.commit(30)))
    thread.start()
    assert asked.wait(10), "what is recorded from here on is none of its business"
    made.gauge("g").set(2.0)
    made.gauge("g").set(3.0)
    deadline = time.monotonic() + 10
    while made.stats.spooled < 2 and time.monotonic() < deadline:
        made._pump.flush(0)
    assert made.stats.spooled == 2
    for _ in range(2):
        asked.clear()
        assert asked.wait(10)
    assert thread.is_alive(), "the first is in flight, and nowhere else"
    transport.open.pop(0)(None)
    thread.join(20)
    assert done == [True]
    made.close(0)


def test_each_half_of_what_was_too_much_for_one_batch_has_its_place(tmp_path: Path) -> None:
    transport, disk = Changing(None), Failing()
    transport.silent = True
    made = faulty(tmp_path, transport, disk)
    disk.failing = {"write"}
    for number in range(limits.BATCH_SERIES + 100):
        made.gauge(f"g{number}").set(1.0)
    assert not made.commit(0)
    assert len(transport.open) == 2
    transport.open.pop(0)(None)
    assert not made.commit(0)
    loose = made._pump.backlog.loose
    assert loose is not None
    assert loose.begin == (limits.BATCH_SERIES + 100) // 2
    made.close(0)
