"""The page says what the files of results say, and nothing of what they do not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from proof import tables
from proof.controls import Control
from proof.report import LONG_LEAST
from tests.proof.test_report import CHECKS, MORE, REPORT


def test_the_tables_are_put_between_the_marks(tmp_path: Path) -> None:
    page, path = tmp_path / "page.md", tmp_path / "chaos.json"
    page.write_text("before\n<!-- chaos: begin -->\nold\n<!-- chaos: end -->\nafter\n")
    REPORT.write(path)
    dataclasses.replace(REPORT, seed=10, wrong=("x",)).write(path)
    dataclasses.replace(REPORT, long=True, checks=CHECKS | LONG_LEAST | MORE).write(path)
    tables.write(page, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n<!-- chaos: begin -->\n* Seed 7, short form, ")
    assert (
        "60 s: everything held. 1,000 measurements (too late: not measured); kills of workers: 3, of brokers: 1, of the"
        in text
    )
    assert (
        "gateway: not measured; windows of 60, 300 and 3,600 s that were judged: not measured; transitions replayed: not"
        in text
    )
    assert text.count("60 s: IT DID NOT HOLD; x. ") == 1
    assert "* Seed 7, long form" in text
    assert "3,000,000 measurements (too late: 1,500, 1,500 on purpose); kills of workers: 300, of brokers: 1" in text
    assert (
        "of the gateway: 2; windows of 60, 300 and 3,600 s that were judged: 97, 30, 8; transitions replayed: 56."
        in text
    )
    assert text.endswith("| dropped | 1 | 0 | seen |\n<!-- chaos: end -->\nafter\n")
    assert text.count("| 1 | kill |") == 2
    assert "old" not in text


def test_the_page_in_the_tree_is_that_of_the_results() -> None:
    text = tables.PAGE.read_text(encoding="utf-8")
    assert all(mark.format(name) in text for name in tables.SECTIONS for mark in tables.MARKS)
    assert tables.rewritten(text) == text, "run `python -m proof --tables`"


def test_what_an_older_run_does_not_tell_is_not_measured_and_never_none(tmp_path: Path) -> None:
    page, path = tmp_path / "page.md", tmp_path / "chaos.json"
    page.write_text("<!-- chaos: begin -->\n<!-- chaos: end -->\n")
    older = REPORT.json()
    del older["why"], older["whole"], older["results"][0]["late"], older["all"]["late"]
    path.write_text(json.dumps({"long": {"7": older}}))
    tables.write(page, tmp_path)
    assert page.read_text().count("| 0 | 0 | not measured | 0 | 0 | 0 |") == 2


def test_controls_alone_have_a_place_of_their_own(tmp_path: Path) -> None:
    page, path = tmp_path / "page.md", tmp_path / "controls.json"
    page.write_text(
        "<!-- chaos: begin -->\nkept\n<!-- chaos: end -->\n<!-- controls: begin -->\n<!-- controls: end -->\n"
    )
    measured = Control("stock Faust", 0, 0, must=False)
    report = dataclasses.replace(REPORT, controls=(Control("dropped", 1_000, 0), measured))
    assert report.good
    report.write(path, "controls")
    tables.write(page, tmp_path)
    text = page.read_text()
    assert text.startswith(
        "<!-- chaos: begin -->\nkept\n<!-- chaos: end -->\n<!-- controls: begin -->\nAll controls, seed 7"
    )
    assert "| dropped | 1,000 | 0 | seen |\n| stock Faust | 0 | 0 | exact in this run |\n" in text
    assert "| 1 | kill |" not in text


def test_stock_faust_stands_beside_the_short_runs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- chaos: begin -->\n<!-- chaos: end -->\n")
    stock = Control("stock Faust at_least_once, 3 x kill -9: its table", 0, 1_388)
    dataclasses.replace(REPORT, controls=(Control("dropped", 1, 0), stock)).write(
        tmp_path / "controls.json", "controls"
    )
    REPORT.write(tmp_path / "chaos.json")
    tables.write(page, tmp_path)
    text = page.read_text()
    assert text.index("out of the run of all controls") < text.index(
        "| stock Faust at_least_once, 3 x kill -9: its table | 0 | 1,388 |"
    )
    assert text.count("| dropped |") == 1


def test_simulation_and_smoke_say_what_they_played(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- {n}: begin -->\n<!-- {n}: end -->\n" for n in ("simulate", "smoke")))
    run = {"seeds": 1_000, "first": 0, "tiers": {"platform": 40, "shell": 960}, "seconds": 90.4, "failed": 0, "jobs": 2}
    (tmp_path / "simulate.json").write_text(
        json.dumps(run | {"ends": {"kill": 7, "told": 2}, "measured": "2026-01-02"})
    )
    tables.write(page, tmp_path)
    assert (
        "1,000 seeds from 0 (40 of the platform and 960 of the shell), 2026-01-02, 90 s, processes: 2."
        in page.read_text()
    )
    assert "Failed: none. Workers ended: 7 kill, 2 told." in page.read_text()
    told = {"keys": 20, "records": 1_000, "kills": 6, "refused": ["dropped"], "seconds": 100.0}
    (tmp_path / "smoke.json").write_text(json.dumps(told | {"measured": "2026-01-02"}))
    tables.write(page, tmp_path)
    assert "20 keys of 1,000 records, 6 workers killed: passed. Wrongs refused: dropped." in page.read_text()
