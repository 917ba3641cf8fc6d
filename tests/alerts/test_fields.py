"""Typed fields."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alerts.fields import duration_of, flag_of, number_of, text_map_of, texts_of
from alerts.problem import Mark, Sheet
from alerts.yamltree import Scalar, documents


def scalar(text: str) -> Scalar:
    return Scalar(text, True, Mark(1, 1))


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("30d", 2_592_000_000),
        ("5m", 300_000),
        ("2w", 1_209_600_000),
        ("10s", 10_000),
        ("1M", None),
        ("h", None),
        ("-1h", None),
    ],
)
def test_durations(text: str, ms: int | None) -> None:
    sheet = Sheet("x")
    assert duration_of(sheet, scalar(text), "duration") == ms
    assert len(sheet) == (ms is None)


@pytest.mark.parametrize("text", ["nan", "inf", "1e99999", "x", "1_0" * 40, ""])
def test_what_is_no_number_is_a_problem(text: str) -> None:
    sheet = Sheet("x")
    assert number_of(sheet, scalar(text), "value") is None
    assert len(sheet) == 1


def test_numbers_are_exact() -> None:
    assert number_of(Sheet("x"), scalar("0.999"), "value") == Decimal("0.999")


def test_flags_are_true_or_false_and_not_yes() -> None:
    sheet = Sheet("x")
    assert [flag_of(sheet, scalar(text), "flag") for text in ("true", "False", "yes")] == [True, False, None]


def test_lists_may_be_written_with_commas_and_label_lists_are_joined() -> None:
    assert texts_of(Sheet("x"), scalar("a, b"), "names", 5) == ("a", "b")
    (node,) = documents("team: [a, b]\nowner: c", Sheet("x"))
    assert text_map_of(Sheet("x"), node, "labels") == {"team": "a,b", "owner": "c"}
