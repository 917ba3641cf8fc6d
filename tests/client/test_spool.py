"""Spool: what was promised survives; what was not survives whole or not at all; nothing goes uncounted."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from tocsin import Client, MemoryTransport, clock, limits
from tocsin.disk import Disk
from tocsin.lives import Lives
from tocsin.pace import Pace
from tocsin.spool import AGED, DAMAGED, DROP_OLDEST, FULL, NEWEST, OLDEST, REFUSE, Spool

from demo.wire import read_batch
from tests.client.spooled import MANY, Away, Clock, Failing, batch, drained, open_files, sequences, spool


def test_what_is_committed_comes_back_in_order_and_leaves_nothing_behind(tmp_path: Path) -> None:
    held = spool(tmp_path)
    for number in range(10):
        held.add([batch(2 * number), batch(2 * number + 1)])
        assert held.commit() == batch(2 * number).rows + batch(2 * number + 1).rows
    assert held.syncs == 10
    found = drained(held)
    assert sequences(found) == list(range(20))
    assert [one.tail for one in found] == [batch(number).tail for number in range(20)]
    assert (held.rows, held.left) == (0, False)
    held.close()
    assert list(tmp_path.iterdir()) == []


def test_the_next_life_takes_over_what_was_not_done(tmp_path: Path) -> None:
    first = spool(tmp_path)
    first.add([batch(number) for number in range(6)])
    first.commit()
    for one in [first.next(), first.next()]:
        assert one is not None
        first.done(one)
    assert first.next() is not None, "sent, and its fate not known"
    first.close()
    second = spool(tmp_path, "b2")
    second.add([batch(0)])
    second.commit()
    assert sequences(drained(second)) == [2, 3, 4, 5, 0]
    assert second.recovered == sum(batch(number).rows for number in (2, 3, 4, 5))
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_owns_is_left_alone_until_it_is_gone(tmp_path: Path) -> None:
    clock_of_second = Clock()
    first, second = spool(tmp_path), spool(tmp_path, "b2", now=clock_of_second)
    first.add([batch(1)])
    first.commit()
    assert second.next() is None
    first.close()
    assert second.next() is None, "it looks only now and then"
    clock_of_second.now += limits.ADOPT_EVERY
    assert sequences(drained(second)) == [1]
    second.close()


def test_another_source_is_left_alone(tmp_path: Path) -> None:
    first = spool(tmp_path)
    first.add([batch(1)])
    first.commit()
    first.close()
    other = Spool(Lives(str(tmp_path), "car-2", Disk()), "b2", MANY, 1e9, REFUSE, OLDEST, Pace(0, 0, lambda: 0.0))
    assert other.next() is None


def test_segments_end_by_size_and_go_when_they_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 2_000)
    held = spool(tmp_path)
    held.add([batch(number) for number in range(40)])
    held.commit()
    files = len(list(tmp_path.rglob("*.seg")))
    assert files >= 8
    assert sum(part.entries is not None for part in held.parts) == 1, "only what is read or written is in memory"
    assert sequences(drained(held)) == list(range(40))
    assert len(list(tmp_path.rglob("*.seg"))) == 1
    held.close()


def test_newest_first_gives_the_newest_segments_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 900)
    held = spool(tmp_path, order=NEWEST)
    held.add([batch(number) for number in range(6)])
    held.commit()
    assert sequences(drained(held)) == [4, 5, 2, 3, 0, 1]
    held.close()


def test_a_full_spool_takes_nothing_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECORD_BYTES", 500)
    held = spool(tmp_path, most=2_000)
    number = 0
    while held.open:
        held.add([batch(number)])
        held.commit()
        number += 1
    assert 3 <= number <= 5
    assert sequences(drained(held)) == list(range(number))
    held.close()


def test_or_drops_its_oldest_and_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 900)
    held = spool(tmp_path, most=3_000, full=DROP_OLDEST)
    for number in range(30):
        assert held.open
        held.add([batch(number)])
        held.commit()
    assert held.held_bytes <= 3_900
    kept = sequences(drained(held))
    assert kept == list(range(kept[0], 30))
    assert held.dropped == {FULL: sum(batch(number).rows for number in range(kept[0]))}
    held.close()


def test_what_is_too_old_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = spool(tmp_path, age=60.0)
    forward, wall = clock.forward_ms(), clock.wall_ms()
    held.add([batch(0)])
    held.commit()
    monkeypatch.setattr(clock, "wall_ms", lambda: wall + 10**12)
    monkeypatch.setattr(clock, "forward_ms", lambda: forward + 59_000)
    held.add([batch(1)])
    held.commit()
    assert sequences(drained(held)) == [0, 1], "a step of the wall clock makes nothing old"
    held.add([batch(2)])
    held.commit()
    monkeypatch.setattr(clock, "forward_ms", lambda: forward + 159_000)
    assert drained(held) == []
    assert held.dropped == {AGED: batch(2).rows}
    held.close()


@pytest.mark.parametrize("order", [OLDEST, NEWEST])
def test_what_is_old_keeps_to_the_pace_and_newest_first_lets_the_present_through(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 900)
    forward, now = clock.forward_ms(), Clock()
    held = spool(tmp_path, order=order, pace=Pace(400.0, 0.0, lambda: 0.0, now))
    held.add([batch(number) for number in range(4)])
    held.commit()
    late = forward + int(limits.CATCH_UP_AGE * 1000) + 5_000
    monkeypatch.setattr(clock, "forward_ms", lambda: late)
    held.add([batch(4)])
    held.commit()
    expected = [[0, 1], [2, 3, 4]] if order == OLDEST else [[4, 2, 3], [0, 1]]
    assert sequences(drained(held)) == expected[0], "a burst of a second's worth, and then no more"
    now.now += 0.1
    assert drained(held) == []
    now.now += 10.0
    assert sequences(drained(held)) == expected[1]
    assert not held.left
    held.close()


def test_bits_that_flip_on_the_disk_cost_their_batches_and_are_counted(tmp_path: Path) -> None:
    held = spool(tmp_path)
    held.add([batch(number) for number in range(5)])
    held.commit()
    (path,) = tmp_path.rglob("*.seg")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4  # in the middle of the third
    path.write_bytes(bytes(data))
    assert sequences(drained(held, done=False)) == [0, 1, 3, 4], "read by a place that is known"
    assert (held.damaged, held.dropped) == (1, {DAMAGED: batch(2).rows})
    held.close()
    second = spool(tmp_path, "b2")
    assert sequences(drained(second)) == [0, 1, 3, 4], "and by a scan"
    second.close()


def test_a_child_leaves_its_parents_folder_alone(tmp_path: Path) -> None:
    held = spool(tmp_path)
    held.add([batch(0)])
    held.commit()
    child = os.fork()
    if child == 0:
        held.reset("b2")
        held.add([batch(1)])
        good = held.commit() > 0 and sequences(drained(held)) == [1]
        held.close()
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    other = spool(tmp_path, "b3")
    assert other.next() is None, "the lock is still the parent's"
    assert sequences(drained(held)) == [0]
    held.close()


def test_a_write_that_the_kernel_cuts_short_costs_nothing(tmp_path: Path) -> None:
    """No file of a real process may grow beyond 100 kB: writes end in the middle, by the kernel's own hand."""
    options = {"source": "s", "service": "x", "spool": str(tmp_path), "catch_up_jitter": 0.0, "report": False}
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        made = Client(transport=Away(), flush_interval=3600, **options)  # type: ignore[arg-type]
        gauge, good = made.gauge("g"), True
        for value in range(30_000):
            gauge.set(float(value))
            if value % 3_000 == 2_999:
                good = good and made.commit(20)
        made.close(0)
        os._exit(0 if good and made.stats.given_up == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert max(path.stat().st_size for path in tmp_path.rglob("*.seg")) <= 100_000
    transport = MemoryTransport()
    with Client(transport=transport, catch_up_rate=0.0, **options) as made:  # type: ignore[arg-type]
        assert made.flush(30), made.stats
    found = [value for _, one in transport.records for value in read_batch(one).value.tolist()]
    assert found == [float(value) for value in range(30_000)]


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
