"""Lives: kill -9 at any moment, and a disk that fails, lose nothing that was promised; folders have one owner."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tocsin import Client, InvalidOption, limits
from tocsin.disk import Disk
from tocsin.lives import LOCK, NEW, Lives

from demo.wire import read_batch
from tests.client.emitter import Recording, read
from tests.client.spooled import Clock, batch, drained, kept, sequences, spool

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


CALLS = ("make_folder", "create", "write", "truncate", "sync", "sync_folder", "rename", "unlink", "remove_folder")


class Unlucky(Disk):
    """A disk whose calls, counted from 0, fail where `fails` says so: before anything is done, or after it was."""

    def __init__(self, fails: Callable[[int, str], bool], after: bool) -> None:
        self.calls: list[str] = []
        for name in CALLS:
            setattr(self, name, self._made(name, getattr(super(), name), fails, after))

    def _made(
        self, name: str, call: Callable[..., Any], fails: Callable[[int, str], bool], after: bool
    ) -> Callable[..., Any]:
        def made(*arguments: Any) -> Any:
            failing = fails(len(self.calls), name)
            self.calls.append(name)
            done = call(*arguments) if after or not failing else None
            if failing:
                if name == "create" and done is not None:
                    os.close(done)
                raise OSError(errno.ENOSPC, f"No space left on device for {name}")
            return done

        return made


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("after", [False, True])
def test_any_one_call_that_fails_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 1_000)
    place, calls = 0, 1
    while place < calls:
        root, before = tmp_path / f"{place}", descriptors()
        first = spool(root, "b0")
        kept(first, Clock(), 100)
        first.close()
        disk, now = Unlucky(lambda number, _, place=place: number == place, after), Clock()
        held = spool(root, disk=disk, now=now)
        kept(held, now, 0, 1, 2, 3)
        found = sequences(drained(held, done=False))
        kept(held, now, 4, 5)
        assert [*found, *sequences(drained(held, done=False))] == [100, 0, 1, 2, 3, 4, 5], disk.calls[place]
        held.close()
        last = spool(root, "b2")
        assert set(sequences(drained(last))) == {100, 0, 1, 2, 3, 4, 5}, disk.calls[place]
        last.close()
        assert descriptors() == before, disk.calls[place]
        place, calls = place + 1, len(disk.calls)
    assert calls > 10


@pytest.mark.parametrize(
    ("name", "after"),
    [("create", False), ("create", True), ("rename", False), ("sync_folder", False), ("write", True), ("sync", True)],
)
def test_a_disk_that_is_broken_for_long_uses_up_no_descriptors(tmp_path: Path, name: str, after: bool) -> None:
    broken = True
    disk, now, before = Unlucky(lambda _, called: broken and called == name, after), Clock(), descriptors()
    held = spool(tmp_path, disk=disk, now=now)
    held.add([batch(0)])
    for _ in range(50):
        assert held.commit() == 0
        now.now += limits.DISK_RETRY
    assert descriptors() <= before + 2, "a lock, and a segment"
    broken = False
    assert held.commit() == batch(0).rows, held.trouble
    assert sequences(drained(held)) == [0]
    held.close()
    assert descriptors() == before


def test_a_folder_that_somebody_removes_is_none_of_ours(tmp_path: Path) -> None:
    first = spool(tmp_path)
    kept(first, Clock(), 0, 1)
    first.close()
    held = spool(tmp_path, "b2")
    kept(held, Clock(), 2)
    taken = held.next()
    assert taken is not None
    (folder,) = {path.parent for path in tmp_path.rglob("*.seg") if "b2" not in str(path)}
    shutil.rmtree(folder)
    held.done(taken)
    assert sequences(drained(held))[-1] == 2
    held.close()
