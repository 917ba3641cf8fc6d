"""Age: only clocks that somebody confirmed make anything too old; what has no age is old for the pace."""

from __future__ import annotations

from pathlib import Path

import pytest
from tocsin import Client, MemoryTransport, Rejected, clock
from tocsin.pace import Pace
from tocsin.spool import AGED, NEWEST, Spool

from tests.client.spooled import Clock, batch, drained, sequences, spool

DAY = 86_400_000
BUILT, TODAY = 1_710_000_000_000, 1_790_000_000_000  # a clock without a battery begins at the first


def reached(held: Spool) -> None:
    """A batch came through that no disk ever had."""
    held._failing = True
    held.add([batch(9)])
    one = held.next()
    assert one is not None
    held.done(one)
    held._failing = False


@pytest.mark.parametrize(
    ("before", "reached_before", "after", "reached_after", "dropped"),
    [
        (5_000, True, TODAY, True, False),
        (BUILT, False, TODAY, True, False),
        (TODAY - 10 * DAY, False, TODAY, True, False),
        (TODAY - 10 * DAY, True, TODAY, False, False),
        (TODAY - 10 * DAY, True, TODAY, True, True),
        (TODAY - 6 * DAY, True, TODAY, True, False),
        (TODAY, True, BUILT, True, False),
    ],
    ids=["never set", "built", "not known before", "not known now", "too old", "young enough", "set back"],
)
def test_across_runs_of_the_machine_only_clocks_that_somebody_confirmed_age_anything(
    tmp_path: Path, before: int, reached_before: bool, after: int, reached_after: bool, dropped: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Who reached a destination could also ask for the time; until then a clock may be years off."""
    monkeypatch.setattr(clock, "machine_boot", lambda: "ab" * 16)
    monkeypatch.setattr(clock, "wall_ms", lambda: before)
    first = spool(tmp_path)
    if reached_before:
        reached(first)
    first.add([batch(1)])
    first.commit()
    first.close()
    monkeypatch.setattr(clock, "machine_boot", lambda: "cd" * 16)
    monkeypatch.setattr(clock, "wall_ms", lambda: after)
    second = spool(tmp_path, "b2", age=7 * DAY / 1000)
    if reached_after:
        reached(second)
    second.add([batch(2)])
    second.commit()
    assert sequences(drained(second)) == ([2] if dropped else [1, 2])
    assert second.dropped == ({AGED: batch(1).rows} if dropped else {})
    second.close()


def test_what_is_rejected_confirms_no_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been our own library that said no."""
    monkeypatch.setattr(clock, "wall_ms", lambda: TODAY)
    transport = MemoryTransport()
    with Client(source="s", service="x", transport=transport, spool=str(tmp_path), report=False) as made:
        stamps = []
        for answer in (Rejected("no"), None, None):
            transport.answer = answer
            made.gauge("g").set(1.0)
            assert made.flush(10)
            assert made._spool is not None
            stamps.append(made._spool._ages.stamp()[0])
    assert stamps == [0, TODAY, TODAY]


@pytest.mark.parametrize("machine", ["ab" * 16, ""], ids=["told", "not told"])
def test_what_another_run_of_the_machine_left_is_old_for_the_pace_and_what_is_ours_is_not(
    tmp_path: Path, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "machine_boot", lambda: machine)
    first = spool(tmp_path)
    first.add([batch(0)])
    first.commit()
    first.close()
    monkeypatch.setattr(clock, "machine_boot", lambda: machine and "cd" * 16)
    now = Clock()
    held = spool(tmp_path, "b2", order=NEWEST, pace=Pace(1e6, 60.0, lambda: 0.5, now))
    held.add([batch(1)])
    held.commit()
    assert sequences(drained(held)) == [1]
    now.now += 31.0
    assert sequences(drained(held)) == [0]
    held.close()
