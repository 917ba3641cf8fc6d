"""What stock Faust did is judged by the comparison that judges Tocsin; without a broker."""

from __future__ import annotations

import pytest

from demo.audit import compare
from demo.ledger import Cell, Cells, add
from proof import stock_faust
from proof.controls import Control
from proof.stock_faust import GUARANTEES, Job, Runner, counted

EVENTS = [{"series": f"s-{n % 2}", "time": 1_800_000_000 + n / 2, "value": n, "id": n * 7} for n in range(60)]


def cells(events: list[dict[str, object]]) -> Cells:
    found: Cells = {}
    for event in events:
        add(found, *counted(event))
    return found


def test_events_are_counted_by_series_and_window() -> None:
    found = cells(EVENTS)
    assert len(found) == 2 * 3
    key, cell = counted(EVENTS[39])
    assert key == (("stock", "gauge", "1", "web", (("series", "s-1"),)), 1_800_000_010_000)
    assert cell == Cell(1, 39, 39, 39, 273)


@pytest.mark.parametrize(
    ("wrong", "lost", "doubled"), [(EVENTS[1:], 1, 0), ([*EVENTS, EVENTS[5], EVENTS[5]], 0, 2), (EVENTS, 0, 0)]
)
def test_one_lost_or_doubled_event_is_counted(wrong: list[dict[str, object]], lost: int, doubled: int) -> None:
    verdict = compare(cells(EVENTS), cells(wrong), {}, 0)
    assert (verdict.lost, verdict.doubled) == (lost, doubled)


def test_the_table_is_the_newest_value_of_each_key_of_its_changelog(monkeypatch: pytest.MonkeyPatch) -> None:
    log = [
        (b'["s-0",[1800000000.0,1800000009.9]]', b"[1,5,5,5,50]"),
        (b'["s-0",[1800000010.0,1800000019.9]]', b"[1,6,6,6,60]"),
        (b'["s-0",[1800000000.0,1800000009.9]]', b"[2,9,4,5,90]"),
    ]
    monkeypatch.setattr(stock_faust, "everything", lambda consumer, topic: iter(log))
    monkeypatch.setattr(Job, "consumer", lambda self: None)
    found = Job("nowhere", GUARANTEES[0]).table()
    assert sorted((start, cell.count, cell.total) for (_, start), cell in found.items()) == [
        (1_800_000_000_000, 2, 9), (1_800_000_010_000, 1, 6),
    ]  # fmt: skip


def test_a_control_of_which_nothing_is_demanded_says_what_it_measured() -> None:
    assert [(one.passed, one.said) for one in (
        Control("a", 0, 0), Control("b", 1, 0), Control("c", 0, 0, must=False), Control("d", 0, 1, must=False),
    )] == [(False, "NOT SEEN"), (True, "seen"), (True, "exact in this run"), (True, "seen")]  # fmt: skip


class Lives:
    """Stands for the lives of a worker: whether each takes in the rest."""

    def __init__(self, *done: bool) -> None:
        self.done, self.closed = list(done), False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("done", "got_on", "left"), [((True, False, False), True, 2), ((False, True), True, 0), ((False,) * 3, False, 0)]
)
def test_a_last_life_that_stands_still_is_started_again_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, done: tuple[bool, ...], got_on: bool, left: int
) -> None:
    runner, lives = object.__new__(Runner), Lives(*done)
    runner._watching = lives
    monkeypatch.setattr(Runner, "_rest", lambda self: lives.done.pop(0))
    assert runner.finish() is got_on
    assert (len(lives.done), lives.closed) == (left, True)
