"""A run is good only when every row held and every control was seen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from proof.controls import Control
from proof.faults import NOT_DONE
from proof.report import LONG_LEAST, Report, Result, joined, quantile

ROW = Result("1", "kill", 7, 0, 3, 1_000, 0, 0, 0, 0, 0, (1.0, 2.0, 3.0), (0.5,))
CHECKS: dict[str, object] = {"measurements": 1_000, "worker_kills": 3, "broker_kills": 1}
WINDOWS = {"windows_of_60_s": 97, "windows_of_300_s": 30, "windows_of_3600_s": 8, "transitions_replayed": 56}
MORE = {"gateway_kills": 2, "late": 1_500, "late_on_purpose": 1_500} | WINDOWS
REPORT = Report(7, False, 60.0, (ROW,), (Control("dropped", 1, 0),), CHECKS, (), {})


def test_a_run_in_which_everything_held() -> None:
    assert REPORT.good
    assert "| 1 | kill | 3 | 1,000 | 0 | 0 | 0 | 0 | 0 | 0 | 2.0 / 3.0 / 3.0 | 0.5 |" in REPORT.table()


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


def test_a_row_that_was_not_played_fails_the_run_unless_nobody_plays_it() -> None:
    assert dataclasses.replace(REPORT, not_done=NOT_DONE).good
    late = dataclasses.replace(REPORT, not_done=NOT_DONE | {"17": "the time was over"})
    assert not late.good
    assert late.why() == ["row 17 was not played: the time was over"]
    assert not dataclasses.replace(REPORT, not_done={next(iter(NOT_DONE)): "the time was over"}).good


def test_a_run_that_played_nothing_is_not_good() -> None:
    nothing = dataclasses.replace(REPORT, results=())
    assert not nothing.good
    assert nothing.why() == ["no row was played"]


def test_a_whole_long_run_has_its_kills_and_its_measurements() -> None:
    enough = dataclasses.replace(REPORT, long=True, checks=CHECKS | LONG_LEAST)
    assert enough.good
    for name, least in LONG_LEAST.items():
        fewer = dataclasses.replace(enough, checks={**enough.checks, name: least - 1})
        assert fewer.why() == [f"{name}: {least - 1}, where a whole long run has {least} at least"]
        assert dataclasses.replace(fewer, whole=False).good  # some rows only: nobody asked for more
        assert dataclasses.replace(fewer, long=False).good
        assert not dataclasses.replace(enough, checks={k: v for k, v in enough.checks.items() if k != name}).good


def test_what_was_wrong_is_said() -> None:
    row = dataclasses.replace(ROW, wrong=("nobody died",))
    report = dataclasses.replace(REPORT, results=(row,), controls=(Control("dropped", 0, 0),), wrong=("books",))
    assert report.why() == ["books", "row 1: ['nobody died']", "control not seen: dropped"]


def test_rounds_of_a_row_are_one_line_in_sum() -> None:
    other = dataclasses.replace(ROW, row="2")
    again = dataclasses.replace(ROW, faults=2, lost=1, recovered_s=(9.0,), wrong=("x",), late=4)
    first, second = joined([ROW, other, again])
    assert (first.faults, first.events, first.lost, list(first.wrong), first.late) == (5, 2_000, 1, ["x"], 4)
    assert list(first.recovered_s) == [1.0, 2.0, 3.0, 9.0]
    assert second == other


def test_the_file_has_quantiles_and_keeps_other_forms_and_seeds(tmp_path: Path) -> None:
    path = tmp_path / "chaos.json"
    REPORT.write(path)
    dataclasses.replace(REPORT, seed=8).write(path)
    dataclasses.replace(REPORT, long=True, seconds=1.0).write(path)
    dataclasses.replace(REPORT, long=True, seconds=2.0).write(path)
    found = json.loads(path.read_text())
    assert sorted(found["short"]) == ["7", "8"]
    assert found["long"]["7"]["seconds"] == 2.0
    run = found["short"]["7"]
    assert run["good"] is True
    assert run["results"][0]["recovered_s"] == {"p50": 2.0, "p95": 3.0, "p99": 3.0, "max": 3.0}
    assert run["all"]["events"] == 1_000
    assert "three nodes" in run["machine"]["broker"]
    assert quantile([], 0.5) is None
