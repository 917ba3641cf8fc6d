"""Disk: of every prefix of what was asked of it, any state that a crash may leave holds what was promised."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tocsin import limits
from tocsin.encode import Batch

from tests.client.spooled import Clock, batch, drained, spool
from tests.client.tape import Tape, World


def recorded(root: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> Tape:
    """A life with writes of all sizes, acknowledgements, segments that come and go, and a sync that fails."""
    chance = random.Random(seed)
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 3_000)
    tape, now = Tape(), Clock()
    held = spool(root, disk=tape, now=now)
    sequence, open_ones = 0, []
    for turn in range(25):
        group = [batch(sequence + more, chance.randrange(1, 1_500)) for more in range(chance.randrange(1, 5))]
        sequence += len(group)
        held.add(group)
        if turn == 12:
            sync = tape.sync
            tape.sync = lambda descriptor: (_ for _ in ()).throw(OSError("sync failed"))  # type: ignore[method-assign]
            assert held.commit() == 0
            tape.sync = sync  # type: ignore[method-assign]
            now.now += limits.DISK_RETRY
        assert held.commit() == sum(one.rows for one in group)
        for one in group:
            tape.note("promise", one)
        while chance.random() < 0.8 and (one_more := held.next()) is not None:
            open_ones.append(one_more)
        while open_ones and chance.random() < 0.7:
            finished = open_ones.pop(chance.randrange(len(open_ones)))
            tape.note("done", finished.sequence)
            held.done(finished)
    return tape


def judge(root: Path, promised: dict[int, Batch], done: set[int]) -> None:
    """Everything promised and not done is there, whole; nothing is there that was never written."""
    after = spool(root, "after")
    found = {one.sequence: one for one in drained(after)}
    assert promised.keys() - done <= found.keys()
    for sequence, one in found.items():
        if sequence in promised:
            assert (one.top, one.tail, one.rows) == (
                promised[sequence].top, promised[sequence].tail, promised[sequence].rows,
            )  # fmt: skip
    after.close()


def every_prefix(tmp_path: Path, tape: Tape, root: str, seed: int) -> int:
    world, promised, done = World(), dict[int, Batch](), set[int]()
    judged = 0
    for number, step in enumerate(tape.steps):
        if step[0] == "promise":
            assert isinstance(step[2], Batch)
            promised[step[2].sequence] = step[2]
        elif step[0] == "done":
            done.add(int(str(step[2])))
        else:
            world.apply(step)
        for kind in range(4):
            target = tmp_path / f"{number}-{kind}"
            target.mkdir()
            chance = random.Random(seed * 1_000_003 + number * 4 + kind) if kind > 1 else None
            world.leave(target, root, chance, everything=kind == 1)
            judge(target, promised, done)
            judged += 1
    return judged


@pytest.mark.parametrize("seed", range(3))
def test_no_crash_at_any_step_loses_what_was_promised(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes and syncs are recorded; of every prefix, four states that a crash may leave are read by a new life."""
    root = tmp_path / "root"
    tape = recorded(root, seed, monkeypatch)
    assert every_prefix(tmp_path, tape, str(root), seed) > 400


@pytest.mark.parametrize("left_out", ["sync", "sync_folder"])
def test_the_crash_test_sees_a_sync_that_is_left_out(
    tmp_path: Path, left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    tape = recorded(root, 1, monkeypatch)
    tape.steps = [step for step in tape.steps if step[0] != left_out]
    with pytest.raises(AssertionError):
        every_prefix(tmp_path, tape, str(root), 1)
