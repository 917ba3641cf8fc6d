"""A wrong window is blamed on the row in which it lies; how late a page of a row may be."""

from __future__ import annotations

import dataclasses

from demo.audit import Difference
from demo.ledger import Cell
from proof import pages
from proof.faults import Row, Step
from proof.play import blamed, late_max_s
from proof.report import Result

ROW = Result("1", "kill", 7, 100_000, 3, 1_000, 0, 0, 0, 0, 0, (), ())
ROWS = [ROW, dataclasses.replace(ROW, row="2", begun_ms=200_000)]
SERIES = ("m", "outcome", "1", "web", ())


def cell(count: int) -> Cell:
    return Cell(count, 0, 0.0, 0.0, count)


def test_losses_and_repeats_are_counted_where_they_lie() -> None:
    first, second = blamed(
        ROWS,
        [
            Difference(SERIES, 180_000, cell(5), cell(3)),
            Difference(SERIES, 195_000, cell(5), cell(6)),
            Difference(SERIES, 300_000, cell(4), dataclasses.replace(cell(4), fingerprint=9)),
            Difference(SERIES, 310_000, None, cell(2)),
        ],
    )
    assert (first.lost, first.doubled) == (2, 0)
    assert (second.lost, second.doubled) == (0, 1 + 1 + 2)
    assert not first.good
    assert len(second.wrong) == 3


def test_nothing_wrong_blames_nobody() -> None:
    assert blamed(ROWS, []) == ROWS
    assert ROW.good


def test_a_page_may_wait_for_what_was_held_while_all_brokers_were_away_and_for_nothing_else() -> None:
    def row(*steps: Step) -> Row:
        return Row("6", "outage", steps)

    assert late_max_s(row(Step("outage", seconds=300.0, count=3))) == pages.LATE_MAX_S + 15.0
    assert late_max_s(row(Step("outage", seconds=300.0, count=2), Step("cut", seconds=300.0))) == pages.LATE_MAX_S
