"""The table of docs/verdicts.md agrees with the JSON, and reads what the measurement writes."""

from __future__ import annotations

import json

import pytest

from bench import delays, detection
from bench.results import RESULTS


def test_the_page_in_the_tree_is_that_of_the_results():
    figures = json.loads((RESULTS / "latest.json").read_text(encoding="utf-8"))
    text = delays.PAGE.read_text(encoding="utf-8")
    assert text == delays.rewritten(text, figures), "run `python -m bench.figures`"


def pages(*overheads: float) -> list[detection.Page]:
    return [detection.Page(ratio, 10 + over, over) for over, ratio in zip(overheads, (1.0, 0.15), strict=True)]


def measured(fastest: float) -> dict[str, object]:
    found = detection.summed(
        [{"tocsin": pages(0.5, 0.5), "default": pages(40.0, 40.0), "fastest": pages(fastest, 2.0)}]
    )
    dated = {"mode": "full", "measured": "2026-01-02"}
    return {figure.name: figure.row() | dated for figure in found}


@pytest.mark.parametrize(("fastest", "verdict"), [(2.0, "reached"), (0.1, "**missed**")])
def test_what_the_measurement_says_is_shown_with_its_verdict(fastest: float, verdict: str):
    text = "\n".join(delays.lines(measured(fastest)))
    assert "| 100 % | 10.5 s, 0.50 s | 50.0 s, 40.00 s |" in text
    assert "| 15 % | 10.5 s, 0.50 s | 50.0 s, 40.00 s | 12.0 s, 2.00 s |" in text
    assert "80 times less than with Debian's intervals (goal >= 20 reached)" in text
    assert f"times less than with the fastest ones (goal >= 3 {verdict})" in text


def test_what_was_not_measured_is_not_shown():
    assert delays.lines({}) == ["Not measured yet."]
