"""Series: numbers are stable and limited; the overflow is visible."""

from __future__ import annotations

from tocsin.names import OVERFLOW_LABELS
from tocsin.series import SeriesTable


def test_numbers_are_given_once() -> None:
    table = SeriesTable(10)
    first = table.number(("gauge", "a", "1", ()))
    assert table.number(("gauge", "a", "1", ())) == first
    assert table.number(("gauge", "a", "1", (("k", "v"),))) != first
    assert table.tally(first) is table.tally(first)


def test_past_the_limit_a_metric_folds_into_its_overflow() -> None:
    table = SeriesTable(2)
    numbers = [table.number(("gauge", "a", "1", (("k", str(i)),))) for i in range(5)]
    assert numbers == [0, 1, 2, 2, 2]
    assert table.definitions[2] == ("gauge", "a", "1", OVERFLOW_LABELS)
    assert table.folded == 3
