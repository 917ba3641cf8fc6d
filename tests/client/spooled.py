"""A spool for tests: options with no bounds, batches from a number, and everything that it gives out."""

from __future__ import annotations

import random
from pathlib import Path

from tocsin import limits
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


def sequences(found: list[Batch]) -> list[int]:
    return [one.sequence for one in found]


def kept(held: Spool, now: Clock, *numbers: int) -> None:
    """Add the batches and commit until they are promised."""
    held.add([batch(number) for number in numbers])
    wanted, promised = sum(batch(number).rows for number in numbers), 0
    for _ in range(10):
        promised += held.commit()
        if promised == wanted:
            return
        now.now += limits.DISK_RETRY
    raise AssertionError(f"not promised: {held.trouble}")
