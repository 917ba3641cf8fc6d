"""The spool: what it promised is there after any end, in order, and it stays within its bounds."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import limits, selfmetrics, spool
from gateway.refusal import Refusal
from gateway.segment import Kept, written
from gateway.spool import Spool, SpoolInUse

ROOT = Path(__file__).resolve().parents[2]
MOST, AGE = 1 << 26, 3_600.0
NOW = 1_700_000_000.0


def records(count: int, first: int = 0, size: int = 100, at: float = NOW) -> list[Kept]:
    return [
        Kept(b"car", b"fleet", number.to_bytes(4, "big") * size, 5, round(at * 1e3))
        for number in range(first, first + count)
    ]


def opened(folder: Path, most: int = MOST, age: float = AGE, now: float = NOW) -> Spool:
    return Spool(folder, most, age, lambda: now)


def drained(held: Spool) -> list[Kept]:
    found = []
    while some := held.oldest():
        found += some
        held.sent()
    return found


async def test_everything_comes_out_in_order_and_only_then_is_nothing_left(tmp_path):
    held = opened(tmp_path)
    assert not held.left
    for first in range(0, 50, 10):
        await held.keep(records(10, first))
    assert (held.records, held.left) == (50, True)
    assert held.oldest() == held.oldest(), "the same until it is sent"
    assert drained(held) == records(50)
    assert (held.records, held.bytes, held.left, held.age_now_s) == (0, 0, False, 0.0)
    held.close()


async def test_requests_at_once_share_a_sync(tmp_path, monkeypatch):
    held = opened(tmp_path)
    await held.keep(records(1))
    syncs = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    await asyncio.gather(*(held.keep(records(1, number)) for number in range(1, 200)))
    assert len(syncs) < 100
    assert drained(held) == records(200)
    held.close()


async def test_the_next_start_goes_on_where_this_one_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "SPOOL_SEGMENT_BYTES", 3_000)
    monkeypatch.setattr(spool, "SPOOL_READ_BYTES", 2_000)
    held = opened(tmp_path)
    for number in range(40):
        await held.keep(records(1, number))
    first = held.oldest()
    held.sent()
    held.close()
    again = opened(tmp_path)
    assert again.records == 40 - len(first)
    await again.keep(records(5, 40))
    assert first + drained(again) == records(45)
    again.close()
    for path in tmp_path.glob("*.seg"):
        path.unlink()  # by somebody who makes room
    empty = opened(tmp_path)
    assert not empty.left
    await empty.keep(records(3))
    empty.close()
    assert drained(opened(tmp_path)) == records(3), "a mark beyond all segments hides nothing that comes later"


async def test_an_end_at_any_byte_keeps_every_promise(tmp_path):
    """What was synced is there; what lay behind it is any prefix of what was being written."""
    held = opened(tmp_path / "spool")
    promised = [0]
    for number in range(6):
        await held.keep(records(2, 2 * number, size=10))
        promised.append(held.bytes)
    held.close()
    (path,) = (tmp_path / "spool").glob("*.seg")
    data = path.read_bytes()
    for cut in sorted({*range(0, len(data), 5), *promised, *(size - 1 for size in promised[1:])}):
        shutil.rmtree(tmp_path / "spool")
        (tmp_path / "spool").mkdir()
        path.write_bytes(data[:cut])
        after = opened(tmp_path / "spool")
        whole = 2 * (sum(size <= cut for size in promised) - 1)
        assert drained(after)[:whole] == records(whole, size=10)
        after.close()


@pytest.mark.parametrize("seed", range(5))
async def test_a_byte_that_has_changed_costs_at_most_its_record(tmp_path, seed):
    held = opened(tmp_path)
    await held.keep(records(30))
    held.close()
    (path,) = tmp_path.glob("*.seg")
    data = bytearray(path.read_bytes())
    data[random.Random(seed).randrange(len(data))] ^= 0xFF
    path.write_bytes(data)
    before = selfmetrics.SPOOL_DAMAGED._value.get()
    after = opened(tmp_path)
    assert len(drained(after)) == 29
    assert selfmetrics.SPOOL_DAMAGED._value.get() == before + 1
    assert not after.left
    after.close()


async def test_a_mark_that_is_wrong_costs_a_repetition_and_no_record(tmp_path):
    held = opened(tmp_path)
    await held.keep(records(3))
    held.oldest()
    held.sent()
    await held.keep(records(2, 3))
    held.close()
    (tmp_path / "mark").write_bytes(b"noise")
    after = opened(tmp_path)
    assert drained(after) == records(5)
    after.close()


async def test_it_refuses_beyond_its_bytes_and_goes_on_when_there_is_room(tmp_path):
    size = len(b"".join(map(written, records(10))))
    held = opened(tmp_path, most=2 * size)
    await held.keep(records(10))
    await held.keep(records(10, 10))
    assert held.full
    with pytest.raises(Refusal) as caught:
        await held.keep(records(1, 20))
    assert (caught.value.status, caught.value.reason) == (503, "spool")
    assert caught.value.retry_after_s == limits.SPOOL_RETRY_S
    assert drained(held) == records(20)
    await held.keep(records(1, 20))
    held.close()


async def test_what_is_too_old_is_dropped_and_counted(tmp_path):
    held = opened(tmp_path)
    await held.keep(records(4, at=NOW - AGE - 1))
    await held.keep(records(3, 4))
    before = selfmetrics.SPOOL_DROPPED.labels("aged")._value.get()
    assert drained(held) == records(3, 4)
    assert selfmetrics.SPOOL_DROPPED.labels("aged")._value.get() == before + 4
    assert not held.left
    held.close()


@pytest.mark.parametrize("call", ["write", "fdatasync"])
async def test_a_disk_that_takes_nothing_is_refused_and_nothing_half_is_kept(tmp_path, monkeypatch, call):
    held = opened(tmp_path)
    await held.keep(records(2))
    real = getattr(os, call)

    def fails(descriptor, *rest):
        if call == "write":
            real(descriptor, rest[0][:50])  # a part of it fits
        raise OSError(errno.ENOSPC, "no space left on the disk")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(Refusal, match="disk takes nothing"):
        await held.keep(records(2, 2))
    monkeypatch.setattr(os, call, real)
    await held.keep(records(2, 4))
    held.close()
    before = selfmetrics.SPOOL_DAMAGED._value.get()
    after = opened(tmp_path)
    assert drained(after) == [*records(2), *records(2, 4)]
    assert selfmetrics.SPOOL_DAMAGED._value.get() == before, "the half of it was taken back"
    after.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system: run it as root to see this test")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


async def test_a_full_disk_is_a_refusal(small_disk):
    held = opened(small_disk)
    accepted, refused = 0, False
    while not refused:
        try:
            await held.keep(records(10, accepted))
        except Refusal:
            refused = True
        else:
            accepted += 10
    assert accepted > 100
    assert drained(held) == records(accepted)
    held.close()


def test_a_folder_belongs_to_one_process(tmp_path):
    held = opened(tmp_path)
    with pytest.raises(SpoolInUse, match="one of its own"):
        opened(tmp_path)
    held.close()
    opened(tmp_path).close()


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.gateway.test_spool import opened, records
async def main():
    held = opened(Path(sys.argv[1]))
    for number in range(100_000):
        await held.keep(records(1, number))
        print(number, flush=True)
asyncio.run(main())
"""


def test_kill_9_keeps_what_was_promised(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as it:
        for line in it.stdout:
            if int(line) == 50:
                it.kill()
                break
        promised = 51 + len(it.stdout.read().split())
    after = opened(tmp_path)
    found = drained(after)
    assert found == records(len(found))
    assert len(found) >= promised
    after.close()
