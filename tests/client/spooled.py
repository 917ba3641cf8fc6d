"""A spool for tests: no bounds, batches from a number, everything that it gives out; a disk and a destination that fail."""

from __future__ import annotations

import errno
import random
from pathlib import Path

from tocsin import Full, OnResult
from tocsin.disk import Disk
from tocsin.encode import Batch
from tocsin.lives import Lives
from tocsin.pace import Pace
from tocsin.spool import OLDEST, REFUSE, Spool

MANY = 2**40


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def spool(root: Path, boot: str = "b1", disk: Disk | None = None, **options: object) -> Spool:
    settled: dict[str, object] = {"most": MANY, "age": 1e9, "full": REFUSE, "order": OLDEST, **options}
    settled.setdefault("pace", Pace(0.0, 0.0, lambda: 0.0))
    return Spool(Lives(str(root), "car-1", disk or Disk()), boot, **settled)  # type: ignore[arg-type]


def batch(sequence: int, size: int = 300) -> Batch:
    chance = random.Random(sequence)
    return Batch(sequence, 1 + sequence % 7, chance.randbytes(40), chance.randbytes(size))


def drained(held: Spool, done: bool = True) -> list[Batch]:
    found = []
    while (one := held.next()) is not None:
        found.append(one)
        if done:
            held.done(one)
    return found


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def sequences(found: list[Batch]) -> list[int]:
    return [one.sequence for one in found]


class Away:
    """A destination that takes nothing."""

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        raise Full("away")

    def flush(self, timeout: float) -> int:
        return 0


class Failing(Disk):
    """A disk on which the calls that are named fail."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.torn = 0  # bytes of a write that is refused which come to the disk all the same

    def _check(self, what: str) -> None:
        if what in self.failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    def make_folder(self, path: str) -> None:
        self._check("make_folder")
        super().make_folder(path)

    def create(self, path: str) -> int:
        self._check("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        if "write" in self.failing:
            super().write(descriptor, data[: self.torn])
        self._check("write")
        super().write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        self._check("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._check("sync")
        super().sync(descriptor)

    def sync_folder(self, path: str) -> None:
        self._check("sync_folder")
        super().sync_folder(path)

    def rename(self, path: str, to: str) -> None:
        self._check("rename")
        super().rename(path, to)
