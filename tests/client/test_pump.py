"""Pump: what was accepted is acknowledged, rejected for good or still held; in order, whatever the destination does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tocsin import Client, Full, MemoryTransport, OnResult, Rejected, limits
from tocsin.backlog import Memory
from tocsin.spool import Spool

from demo.wire import Batch, read_batch
from tests.client.spooled import Failing


class Slow:
    """A destination that answers when told to, and may be told to fail."""

    def __init__(self) -> None:
        self.offered: list[Batch] = []
        self.open: list[OnResult] = []
        self.raising: Exception | None = None

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        if self.raising is not None:
            raise self.raising
        self.offered.append(read_batch(value))
        self.open.append(on_result)

    def answer(self, error: Exception | None) -> None:
        answered, self.open = self.open, []
        for on_result in answered:
            on_result(error)

    def flush(self, timeout: float) -> int:
        return len(self.open)


def client(transport: MemoryTransport | Slow, **options: object) -> Client:
    settled: dict[str, object] = {"flush_interval": 3600, **options}
    return Client(source="s", service="x", kind="web", transport=transport, **settled)  # type: ignore[arg-type]


def sequences(transport: Slow) -> list[int]:
    return [batch.sequence for batch in transport.offered]


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_batches_leave_in_order_and_by_size() -> None:
    transport = Slow()
    with client(transport, batch_size=10) as made:
        gauge = made.gauge("g")
        for value in range(35):
            gauge.set(value)
        assert until(lambda: len(transport.offered) >= 3), "a full batch wakes the pump before its interval"
        made.flush(0)
        assert sequences(transport) == list(range(len(transport.offered)))
        assert [v for batch in transport.offered for v in batch.value.tolist()] == [float(i) for i in range(35)]
        transport.answer(None)


def test_batches_leave_by_time() -> None:
    transport = MemoryTransport()
    with client(transport, flush_interval=0.02) as made:
        made.gauge("g").set(1)
        assert until(lambda: len(transport.records) == 1)
        assert transport.records[0][0] == b"s"


def test_an_unknown_result_is_sent_again_with_the_same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.01)
    transport = Slow()
    made = client(transport)
    made.gauge("g").set(1)
    made.flush(0)
    transport.answer(TimeoutError("unknown"))
    made.gauge("g").set(2)
    made.flush(0)
    assert made.stats.in_flight == 1
    assert until(lambda: bool(made.flush(0) or len(transport.offered) >= 3))
    assert sequences(transport) == [0, 0, 1]
    assert transport.offered[0].event_id.tolist() == transport.offered[1].event_id.tolist()
    transport.answer(None)
    assert made.flush(1)
    assert made.stats.delivered == 2
    assert made.stats.retries == 1
    made.close()


def test_what_is_rejected_for_good_is_counted_and_not_repeated() -> None:
    transport = Slow()
    made = client(transport, report=False)
    made.gauge("g").set(1)
    made.flush(0)
    transport.answer(Rejected("MSG_SIZE_TOO_LARGE"))
    assert made.flush(1)
    assert made.stats.rejected == {"MSG_SIZE_TOO_LARGE": 1}
    assert len(transport.offered) == 1
    made.close()


@pytest.mark.parametrize("error", [Full("queue"), ConnectionError("down"), RuntimeError("odd")])
def test_a_destination_that_raises_loses_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.01)
    transport = Slow()
    made = client(transport, batch_size=2)
    transport.raising = error
    for value in range(5):
        made.gauge("g").set(value)
    assert not made.flush(0.05)
    transport.raising = None

    def drained() -> bool:
        transport.answer(None)
        return made.flush(0)

    assert until(drained)
    assert [v for batch in transport.offered for v in batch.value.tolist()] == [0.0, 1.0, 2.0, 3.0, 4.0]
    made.close()


def test_memory_is_bounded_by_measurements_while_nothing_gets_through() -> None:
    transport = Slow()
    made = client(transport, buffer_measurements=50, batch_size=10, report=False)
    for value in range(200):
        made.gauge("g").set(value)
        if value % 20 == 0:
            made.flush(0)
    stats = made.stats
    assert stats.buffered + stats.in_flight <= 51
    assert stats.refused["full"] + stats.recorded == 200
    transport.answer(None)
    made.close()


def test_memory_is_bounded_by_bytes() -> None:
    transport = Slow()
    made = client(transport, buffer_bytes=limits.RECORD_BYTES)
    gauge = made.gauge("g")
    for _ in range(90_000):
        gauge.set(1.0, 1)
    made.flush(0)
    assert limits.RECORD_BYTES <= made.stats.in_flight_bytes < limits.RECORD_BYTES + 70_000
    assert made.stats.buffered > 0
    transport.answer(None)
    assert not made.flush(0)
    transport.answer(None)
    assert made.flush(0)
    assert made.stats.delivered == 90_000
    made.close()


@pytest.mark.parametrize("trouble", ["the disk fails", "the spool is full", "the memory is full"])
def test_sums_of_counters_wait_while_nothing_moves(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They neither grow the memory nor take the room of what cannot be summed up, and nothing of them is lost."""
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(limits, "RETRY_MOST", 0.001)
    monkeypatch.setattr(limits, "DISK_RETRY", 0.001)
    transport, disk = Slow(), Failing()
    spool = "" if trouble == "the memory is full" else str(tmp_path)
    made = client(transport, spool=spool, buffer_measurements=1_000, report=False)
    if made._spool is not None:
        transport.raising = Full("away")
        made._spool.disk = made._spool.lives.disk = disk
    disk.failing = {"write"} if trouble == "the disk fails" else set()
    bound = made._pump.backlog
    assert isinstance(bound, Memory | Spool)
    usual, bound.most = bound.most, bound.most if disk.failing else 1
    counters, gauge = [made.counter(f"c{number}") for number in range(200)], made.gauge("g")
    for turn in range(60):
        for counter in counters:
            counter.add(1)
        gauge.set(float(turn))
        with made._pump.lock:
            made._pump.cycle(tallies=True)
        assert len(made._recorder.rows) + made._recorder.held <= 60 + 2 * 200
    assert made.stats.refused == {}
    for _ in range(6):
        for counter in counters:
            counter.add(1)
        assert not made.commit(0)
        assert len(made._recorder.rows) + made._recorder.held <= 1_000
    disk.failing, transport.raising, bound.most = set(), None, usual

    def sent() -> bool:
        transport.answer(None)
        return made.flush(0)

    assert until(sent)
    total = sum(batch.value.sum() for batch in transport.offered)
    assert total == 66 * 200 + sum(range(60))
    assert made.close()


def test_sums_of_counters_are_sent_at_the_end_also_when_there_is_no_room(tmp_path: Path) -> None:
    made = client(MemoryTransport(), spool=str(tmp_path), buffer_measurements=100, report=False)
    assert made._spool is not None
    made._spool.most = 0
    for number in range(100):
        made.gauge("g").set(float(number))
    for number in range(3):
        made.counter(f"c{number}").add(1)
    assert not made.close(0)
    assert made.stats.given_up == 103, "a sum that is lost is counted"


def test_flush_waits_for_sums_of_counters_behind_what_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.01)
    transport = Slow()
    made = client(transport)
    made.gauge("g").set(1)
    made.flush(0)
    transport.answer(TimeoutError("unknown"))
    with made._pump.lock:
        made._pump.cycle()
    made.counter("c").add(7)
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(made.flush(30)))
    thread.start()
    while thread.is_alive():
        transport.answer(None)
        time.sleep(0.005)
    assert done == [True]
    assert [batch.value.tolist() for batch in transport.offered][-1] == [7.0]
    made.close()


class Raising(MemoryTransport):
    """A destination with a fault of its own."""

    raising = True

    def flush(self, timeout: float) -> int:
        if self.raising:
            raise RuntimeError("odd")
        return 0


def test_a_turn_that_fails_is_told_and_ends_neither_the_thread_nor_the_host() -> None:
    transport = Raising()
    transport.answer = TimeoutError("away")
    made = client(transport, flush_interval=0.01)
    made.gauge("g").set(1.0)
    assert until(lambda: made.stats.trouble == "RuntimeError: odd")
    assert not made.flush(0.1)
    assert made._pump.thread is not None
    assert made._pump.thread.is_alive()
    transport.raising, transport.answer = False, None
    made.gauge("g").set(2.0)
    assert until(lambda: made.stats.delivered >= 2, 20)
    assert made.stats.trouble == ""
    transport.raising = True
    made.close(0)


def test_a_second_answer_for_a_batch_changes_nothing() -> None:
    transport = Slow()
    made = client(transport)
    made.gauge("g").set(1)
    made.flush(0)
    twice = transport.open[0]
    twice(None)
    twice(None)
    twice(TimeoutError())
    transport.open.clear()
    assert made.flush(1)
    assert made.stats.delivered == 1
    made.close()


def test_refusals_are_reported_as_a_metric() -> None:
    transport = Slow()
    made = client(transport)
    made.gauge("g").set(float("nan"))
    made.gauge("g").set(1)
    made.flush(0)
    made.flush(0)
    named = [identity for batch in transport.offered for identity in batch.identities]
    assert any(
        name == "tocsin.client.refused" and ("reason", "not_a_number") in labels for name, _, _, _, labels in named
    )
    transport.answer(None)
    made.close()


def test_what_was_taken_and_then_lost_is_reported_as_a_metric() -> None:
    transport = Slow()
    made = client(transport)
    made.gauge("g").set(1)
    made.flush(0)
    transport.answer(Rejected("MSG_SIZE_TOO_LARGE"))
    made.flush(0)
    made.flush(0)
    told = {
        (batch.identities[place][0], dict(batch.identities[place][4]).get("reason")): amount
        for batch in transport.offered
        for place, amount in zip(batch.series.tolist(), batch.value.tolist(), strict=True)
    }
    assert told["tocsin.client.dropped", "rejected"] == 1.0
    transport.answer(None)
    made.close()


def test_commit_waits_for_what_was_recorded_before_and_for_no_more(tmp_path: Path) -> None:
    """Another thread records without an end."""
    transport = Slow()
    made = client(transport, spool=str(tmp_path), buffer_measurements=20_000)
    gauge, stop = made.gauge("g"), threading.Event()

    def busy() -> None:
        while not stop.is_set():
            gauge.set(1.0)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert until(lambda: made.stats.recorded > 0)
        for _ in range(5):
            assert made.commit(30)
    finally:
        stop.set()
        thread.join()
    assert made.stats.spooled > 0
    made.close(0)


def test_why_nothing_gets_through_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.01)
    transport = Slow()
    made = client(transport)
    made.gauge("g").set(1)
    made.flush(0)
    transport.answer(TimeoutError("no broker"))
    made.flush(0)
    assert made.stats.trouble == "TimeoutError: no broker"
    assert until(lambda: bool(made.flush(0) or transport.open))
    transport.answer(None)
    assert made.flush(1)
    assert made.stats.trouble == ""
    made.close()


def test_batches_whose_results_are_unknown_are_sent_again_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.01)
    transport = Slow()
    made = client(transport, batch_size=1)
    for value in range(3):
        made.gauge("g").set(value)
    made.flush(0)
    assert until(lambda: len(transport.open) == 3)
    for on_result in transport.open[::-1]:
        on_result(TimeoutError("unknown"))
    transport.open.clear()
    made.flush(0)
    assert until(lambda: bool(made.flush(0) or len(transport.offered) >= 6))
    assert sequences(transport) == [0, 1, 2, 0, 1, 2]
    transport.answer(None)
    assert made.close()
