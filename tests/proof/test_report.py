"""A run is good only when every row held and every control was seen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from proof.controls import Control
from proof.report import Report, Result, quantile

ROW = Result("1", "kill", 7, 0, 3, 1_000, 0, 0, 0, 0, 0, (1.0, 2.0, 3.0), (0.5,))
REPORT = Report(7, False, 60.0, (ROW,), (Control("dropped", 1, 0),), {}, (), {})


def test_a_run_in_which_everything_held() -> None:
    assert REPORT.good
    assert "| 1 | kill | 3 | 1,000 | 0 | 0 | 0 | 0 | 0 | 2.0 / 3.0 | 0.5 |" in REPORT.table()


@pytest.mark.parametrize("field", ["lost", "doubled", "missed", "false_pages", "repeated_pages"])
def test_any_loss_fails_the_run(field: str) -> None:
    row = dataclasses.replace(ROW, **{field: 1})
    assert not dataclasses.replace(REPORT, results=(row,)).good


def test_a_control_that_was_not_seen_fails_the_run() -> None:
    report = dataclasses.replace(REPORT, controls=(Control("dropped", 0, 0),))
    assert not report.good
    assert "NOT SEEN" in report.table()


def test_anything_else_that_is_wrong_fails_the_run() -> None:
    assert not dataclasses.replace(REPORT, wrong=("revisions",)).good
    assert not dataclasses.replace(REPORT, results=(dataclasses.replace(ROW, wrong=("x",)),)).good


def test_the_file_has_quantiles(tmp_path: Path) -> None:
    REPORT.write(tmp_path / "chaos.json")
    found = json.loads((tmp_path / "chaos.json").read_text())
    assert found["good"] is True
    assert found["results"][0]["recovered_s"] == {"p50": 2.0, "p95": 3.0, "p99": 3.0, "max": 3.0}
    assert quantile([], 0.5) is None


def test_the_tables_are_put_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- chaos: begin -->\nold\n<!-- chaos: end -->\nafter\n")
    REPORT.into(page)
    text = page.read_text()
    assert text.startswith("before\n<!-- chaos: begin -->\nSeed 7, short form, 60 s.\n")
    assert text.endswith("| dropped | 1 | 0 | seen |\n<!-- chaos: end -->\nafter\n")
    assert "old" not in text
