"""Spool on a disk that fails: a fault costs time and memory within bounds, and nothing that was accepted."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from tocsin import Client, Full, MemoryTransport, OnResult, Transport, limits
from tocsin.disk import Disk

from demo.wire import read_batch
from tests.client.spooled import Away, Clock, Failing, batch, drained, sequences, spool


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


FIRST = ({"make_folder"}, {"create"}, {"rename"}, {"sync_folder"})  # asked for once a life or a segment
FAULTS = [*FIRST, {"write"}, {"sync"}, {"write", "truncate"}, {"sync", "truncate"}]


@pytest.mark.parametrize("failing", FAULTS, ids=lambda failing: "+".join(sorted(failing)))
@pytest.mark.parametrize("before", [0, 3])
def test_a_disk_that_fails_for_a_while_costs_nothing(tmp_path: Path, failing: set[str], before: int) -> None:
    disk, now, files = Failing(), Clock(), open_files()
    held = spool(tmp_path, disk=disk, now=now)
    for number in range(before):
        held.add([batch(number)])
        assert held.commit()
    disk.failing, disk.torn = failing, 100
    held.add([batch(before)])
    held.add([batch(before + 1)])
    refused = before == 0 or failing not in FIRST
    for _ in range(3):
        now.now += limits.DISK_RETRY
        assert (held.commit() == 0) == refused
        assert bool(held.trouble) == refused
        if not refused:
            break
    disk.failing = set()
    assert held.commit() == 0, "not asked again at once"
    now.now += limits.DISK_RETRY
    if refused:
        assert held.commit() == batch(before).rows + batch(before + 1).rows
    assert held.trouble == ""
    assert sequences(drained(held)) == list(range(before + 2))
    held.close()
    assert list(tmp_path.iterdir()) == []
    assert open_files() == files, "nothing that was open is left open"


def test_what_a_failed_sync_left_behind_is_cut_off(tmp_path: Path) -> None:
    """Else the next life would find it twice."""
    disk, now = Failing(), Clock()
    held = spool(tmp_path, disk=disk, now=now)
    held.add([batch(0)])
    assert held.commit()
    disk.failing = {"sync"}
    held.add([batch(1)])
    assert held.commit() == 0
    disk.failing = set()
    now.now += limits.DISK_RETRY
    assert held.commit()
    held.close()
    second = spool(tmp_path, "b2")
    assert sequences(drained(second)) == [0, 1]
    second.close()


def test_while_the_disk_is_full_every_measurement_is_accounted_for(tmp_path: Path) -> None:
    made = Client(
        source="s", service="x", transport=Away(), spool=str(tmp_path), buffer_measurements=1_000, report=False,
        flush_interval=3600, batch_size=100,
    )  # fmt: skip
    assert made._spool is not None
    made._spool.disk = disk = Failing()
    made._spool.lives.disk = disk
    gauge = made.gauge("g")
    for value in range(500):
        gauge.set(float(value))
    assert made.commit(10)
    disk.failing, disk.torn = {"write"}, 50
    for value in range(5_000):
        gauge.set(float(value))
    assert not made.commit(0.1)
    stats = made.stats
    assert (stats.recorded, stats.spooled, stats.refused) == (1_500, 500, {"full": 4_000})
    assert stats.buffered + stats.in_flight == 1_000
    assert "No space left" in stats.trouble
    disk.failing = set()
    assert made.commit(10)
    gauge.set(1.0)
    assert made.commit(10)
    stats = made.stats
    assert (stats.recorded, stats.spooled, stats.in_flight, stats.trouble) == (1_501, 1_501, 0, "Full: away")
    assert made.close(0)


@pytest.mark.parametrize("gone", ["root", "folder", "lock", "segment"])
def test_what_is_promised_after_somebody_removed_files_is_found(tmp_path: Path, gone: str) -> None:
    """An operator, or what cleans temporary files: appending to a file that has no name any more would promise nothing."""
    root = tmp_path / "root"
    held = spool(root)
    held.add([batch(0)])
    assert held.commit()
    (folder,) = root.iterdir()
    if gone in {"root", "folder"}:
        shutil.rmtree(root if gone == "root" else folder)
    else:
        (folder / ("lock" if gone == "lock" else "00000000.seg")).unlink()
    held.add([batch(1)])
    assert held.commit() == batch(1).rows
    held.reset("b1")  # it lets go of all, as at its death
    second = spool(root, "b2")
    assert sequences(drained(second)) == [1]
    second.close()


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("begun", [True, False])
def test_a_folder_that_somebody_removed_is_counted_and_costs_nothing_else(
    tmp_path: Path, own: bool, begun: bool
) -> None:
    held = spool(tmp_path)
    held.add([batch(0), batch(1)])
    held.commit()
    if not own:
        held.close()
        held = spool(tmp_path, "b2")
    first = held.next() if begun or not own else None
    (folder,) = tmp_path.iterdir()
    shutil.rmtree(folder)
    if first is not None:
        held.done(first)
    held.add([batch(2)])
    assert held.commit() == batch(2).rows
    found = sequences(drained(held))
    assert found[-1] == 2
    lost = sum(batch(number).rows for number in (0, 1) if number not in found and (first is None or number > 0))
    assert sum(held.dropped.values()) == lost
    assert not held.left
    held.close()
    assert list(tmp_path.iterdir()) == []


def test_the_thread_outlives_a_folder_that_somebody_removed(tmp_path: Path) -> None:
    left = spool(tmp_path)
    left.add([batch(0)])
    left.commit()
    left.close()
    transport = MemoryTransport()
    transport.answer = ConnectionError("away")
    made = Client(
        source="car-1", service="x", transport=transport, spool=str(tmp_path), catch_up_jitter=0.0, report=False,
        flush_interval=0.01,
    )  # fmt: skip
    made.gauge("g").set(1.0)
    assert made.commit(10)
    assert made.stats.recovered == batch(0).rows
    for folder in tmp_path.iterdir():
        shutil.rmtree(folder)
    transport.answer = None
    made.gauge("g").set(2.0)
    assert made.flush(20), made.stats
    assert made._pump.thread is not None
    assert made._pump.thread.is_alive()
    assert made.close()


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


class Stuck(Disk):
    """A disk whose syncs take until they are told to end."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def sync(self, descriptor: int) -> None:
        self.reached.set()
        assert self.go.wait(60)
        super().sync(descriptor)


def test_a_client_closed_while_the_disk_is_stuck_leaves_its_files_to_the_thread(tmp_path: Path) -> None:
    """By then a number of a file that was closed may be that of the host's next file."""
    made = Client(source="car-1", service="x", transport=Away(), spool=str(tmp_path), report=False, flush_interval=0.01)
    assert made._spool is not None
    made._spool.disk = disk = Stuck()
    made.gauge("g").set(1.0)
    assert disk.reached.wait(10)
    began, writing = time.monotonic(), made._spool._writing
    assert not made.close(0.1)
    assert time.monotonic() - began < 1.0
    assert os.path.samestat(os.fstat(writing), next(tmp_path.rglob("*.seg")).stat())
    disk.go.set()
    assert made._pump.thread is not None
    made._pump.thread.join(20)
    assert made._spool._writing == -1
    after = spool(tmp_path, "b2")
    assert [one.rows for one in drained(after)] == [1]
    after.close()
    assert list(tmp_path.iterdir()) == []


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
    thread = threading.Thread(target=lambda: done.append(made.commit(30)))
    thread.start()
    made.gauge("g").set(2.0)
    made.gauge("g").set(3.0)
    deadline = time.monotonic() + 10
    while made.stats.spooled < 2 and time.monotonic() < deadline:
        made._pump.flush(0)
    assert made.stats.spooled == 2
    assert thread.is_alive(), "the first is in flight, and nowhere else"
    transport.open.pop(0)(None)
    thread.join(20)
    assert done == [True]
    made.close(0)
