"""Lives: kill -9 at any moment loses nothing that was promised; folders have one owner."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tocsin import Client, InvalidOption, MemoryTransport, limits
from tocsin.disk import Disk
from tocsin.lives import LOCK, NEW, Lives

from demo.wire import read_batch
from tests.client.emitter import Recording, read
from tests.client.spooled import Clock, Failing, batch, drained, open_files, sequences, spool

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])


def emit(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).with_name("emitter.py")), *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": PATHS})


def grown(path: Path, beyond: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until something new was promised."""
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size <= beyond:
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_kill_9_at_random_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    folder, out, promised = tmp_path / "spool", tmp_path / "out", tmp_path / "promised"
    chance = random.Random(5)
    rounds = 8
    for turn in range(rounds):
        before = promised.stat().st_size if promised.exists() else 0
        process = emit(folder, out, promised, turn, turn)
        grown(promised, before, process)
        time.sleep(chance.random() * 0.3)  # the moment of death is the point
        process.kill()
        process.wait()
    last = Client(
        source="car-1", service="x", kind="vehicle", transport=Recording(str(out), chance, faults=False),
        spool=str(folder), report=False, catch_up_jitter=0.0, catch_up_rate=0.0,
    )  # fmt: skip
    assert last.flush(60), last.stats
    assert last.stats.recovered == last.stats.delivered
    assert last.close()
    assert list(folder.iterdir()) == []
    batches = {}
    for value in read(out.read_bytes()):
        batch = read_batch(value)
        batches[batch.boot, batch.sequence] = batch.value.tolist()
    found = [value for values in batches.values() for value in values]
    assert len(found) == len(set(found)), "a repetition has the ids of what it repeats"
    upto = {int(line) // 1_000_000: int(line) for line in promised.read_text().split()}
    assert len(upto) == rounds
    missing = {float(n) for turn, end in upto.items() for n in range(turn * 1_000_000, end)} - set(found)
    assert not missing


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    lives = Lives(str(tmp_path), "s", Disk())
    life = lives.make("b1")
    assert lives.adopt(set()) == []
    life.leave()
    (adopted,) = lives.adopt(set())
    assert not adopted.own
    assert lives.adopt(set()) == []
    adopted.remove(lives.disk)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_left_to_its_folder(tmp_path: Path) -> None:
    """By what a run with the same id left, whose lock is gone."""
    lives = Lives(str(tmp_path), "s", Disk())
    taken = tmp_path / f"{lives.prefix}b1"
    taken.mkdir()
    (taken / "00000000.seg").write_bytes(b"x")
    life = lives.make("b1")
    assert Path(life.path).name == f"{lives.prefix}b1-1"
    life.remove(lives.disk)


def test_a_folder_that_was_never_ready_is_swept(tmp_path: Path) -> None:
    """Its maker died between the folder and its name."""
    lives = Lives(str(tmp_path), "s", Disk())
    started = tmp_path / f"{NEW}{lives.prefix}b1"
    started.mkdir()
    (started / LOCK).touch()
    assert lives.adopt(set()) == []
    assert list(tmp_path.iterdir()) == []
    life = lives.make("b1")
    life.remove(lives.disk)


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    lives = Lives(str(tmp_path), "s", Disk())
    life = lives.make("b1")
    Path(life.file("00000000.seg")).write_bytes(b"x")
    life.remove(lives.disk)
    (adopted,) = lives.adopt(set())
    assert adopted.names(".seg") == ["00000000.seg"]
    adopted.leave()


def test_a_place_that_cannot_be_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidOption, match="spool="):
        Client(source="s", service="x", transport="kafka://a:1", spool=str(tmp_path / "file"))


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


def test_a_folder_that_went_while_nothing_was_in_it_leaves_nothing_open(tmp_path: Path) -> None:
    disk, now, files = Failing(), Clock(), open_files()
    held = spool(tmp_path, disk=disk, now=now)
    for number in range(3):
        disk.failing = set()
        now.now += limits.DISK_RETRY
        held.add([batch(2 * number)])
        assert held.commit()
        assert len(drained(held)) == (2 if number else 1)
        disk.failing = {"write"}
        held.add([batch(2 * number + 1)])
        assert not held.commit(), "and no segment is written any more"
        shutil.rmtree(next(tmp_path.iterdir()))
    assert len(held._lives) == 1
    held.close()
    assert open_files() == files
