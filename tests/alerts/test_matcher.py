"""Label matchers."""

from __future__ import annotations

import pytest

from alerts.matcher import Matchers, parse
from alerts.problem import Mark, Sheet


def holds(text: str, labels: dict[str, str]) -> bool:
    sheet = Sheet("x")
    matcher = parse(sheet, Mark(1, 1), text)
    assert matcher is not None, sheet.problems
    return Matchers((matcher,))(labels)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("route=/cart", "/cart", True),
        ("route = '/cart'", "/cart", True),
        ("route!=/cart", "/cart", False),
        ("route=~/cart.*", "/cart/1", True),
        ("route=~/cart", "/cart/1", False),
        ("route!~/health|/ready", "/ready", False),
        ("route!~/health|/ready", "/pay", True),
        ("status=~5..", "503", True),
    ],
)
def test_a_matcher_reads_the_whole_value(text: str, value: str, expected: bool) -> None:
    name = "status" if text.startswith("status") else "route"
    assert holds(text, {name: value}) is expected


def test_an_absent_label_is_empty() -> None:
    assert holds("route=", {})
    assert holds("route!=/cart", {})
    assert not holds("route=~.+", {})


@pytest.mark.parametrize(
    "text", ["route", "=x", "route==~(", "route=~(", "route=~(a*)*", "route=~(a|a)+", "a=~" + "x" * 300]
)
def test_a_bad_matcher_is_a_problem(text: str) -> None:
    sheet = Sheet("x")
    found = parse(sheet, Mark(3, 4), text)
    assert (found is None) == (text != "route==~(")
    assert all((problem.line, problem.column) == (3, 4) for problem in sheet.problems)
