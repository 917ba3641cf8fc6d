"""Lives: kill -9 at any moment loses nothing that was promised; folders have one owner."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tocsin import Client, InvalidOption
from tocsin.disk import Disk
from tocsin.lives import LOCK, NEW, Lives

from demo.wire import read_batch
from tests.client.emitter import Recording, read

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
