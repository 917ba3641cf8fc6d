"""A spool whose disk, process or operator gets in its way: nothing that was promised is lost, and nothing is used up."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tocsin import limits
from tocsin.disk import Disk
from tocsin.spool import Spool

from tests.client.spooled import Clock, batch, drained, sequences, spool

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


def kept(held: Spool, now: Clock, *numbers: int) -> None:
    """Add the batches and commit until they are promised."""
    held.add([batch(number) for number in numbers])
    wanted, promised = sum(batch(number).rows for number in numbers), 0
    for _ in range(10):
        promised += held.commit()
        if promised == wanted:
            return
        now.now += limits.DISK_RETRY
    pytest.fail(f"not promised: {held.trouble}")


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


@contextmanager
def no_more_files() -> Iterator[None]:
    """The process may open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("own", [False, True])
def test_a_host_without_free_descriptors_loses_nothing(tmp_path: Path, own: bool) -> None:
    """What cannot be read for the moment is not what is no longer there."""
    held = spool(tmp_path)
    kept(held, Clock(), 0, 1, 2)
    if not own:
        held.close()
        held = spool(tmp_path, "b2")
        held._adopt()
    with no_more_files():
        assert held.next() is None
        assert held.left
        assert "Too many open files" in held.trouble
    assert (held.dropped, held.damaged) == ({}, 0)
    assert sequences(drained(held)) == [0, 1, 2]
    assert held.trouble == ""
    held.close()


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


def test_a_mark_that_is_cut_short_costs_one_repetition(tmp_path: Path) -> None:
    held = spool(tmp_path)
    kept(held, Clock(), *range(6))
    found = drained(held, done=False)
    held.done(found[0])
    write = held.disk.write

    def torn(descriptor: int, data: bytes) -> None:
        write(descriptor, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    held.disk.write = torn  # type: ignore[method-assign]
    held.done(found[1])
    held.disk.write = write  # type: ignore[method-assign]
    for one in found[2:5]:
        held.done(one)
    held.close()
    second = spool(tmp_path, "b2")
    assert sequences(drained(second)) == [1, 5]
    second.close()
