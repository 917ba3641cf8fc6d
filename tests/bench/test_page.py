"""The page of benchmarks: it agrees with the JSON beside it, and shows nothing that was not measured.

What: page and pictures in the tree against bench/results/latest.json; a small made-up result. Why: a page that is a run
behind tells an old story. It refuses to measure.
"""

from __future__ import annotations

import json

from bench.page import PAGE, PICTURES, page, pictures, write
from bench.results import RESULTS, Figure

REWRITE = "run `python -m bench.figures`"


def made_up() -> dict[str, object]:
    rows = [
        Figure("single_events_per_s_tocsin", "events/s", (400_000.0, 410_000.0), "", "same topic"),
        Figure("single_events_per_s_quix", "events/s", (27_000.0,), "", "same topic"),
        Figure("single_vs_quix_ratio", "x", (15.0,), ">= 10", "27,000 events/s"),
    ]
    dated = {"mode": "full", "measured": "2026-01-02"}
    return {row.name: row.row() | dated for row in rows} | {"machine": {"cores": 2, "peers": {"bytewax": "0.21"}}}


def test_the_page_in_the_tree_is_that_of_the_results():
    figures = json.loads((RESULTS / "latest.json").read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(figures), REWRITE
    drawn = {path.name: path.read_text(encoding="utf-8") for path in PICTURES.glob("*.svg")}
    assert drawn == pictures(figures), REWRITE


def test_what_was_measured_is_shown_and_nothing_else():
    text = page(made_up())
    assert "| Quix Streams | 27,000 | - | - | 15 x |" in text
    assert ">= 10 reached" in text
    assert "| peers | bytewax 0.21 |" in text
    assert "| Bytewax |" not in text
    assert list(pictures(made_up())) == ["single-events.svg"]


def test_a_ratio_that_is_no_quotient_of_the_columns_says_so():
    figures = made_up()
    assert "by the columns" not in page(figures)
    other = Figure("single_vs_quix_ratio", "x", (16.0,), ">= 10", "27,000 events/s")
    figures[other.name] = other.row() | {"mode": "full", "measured": "2026-01-02"}
    assert "another one: Quix Streams 16 x beside it, 15 x by the columns." in page(figures)


def test_a_picture_that_is_no_longer_of_the_page_goes(tmp_path):
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "old.svg").write_text("<svg/>")
    write(made_up(), tmp_path / "page.md", drawn)
    assert [path.name for path in drawn.iterdir()] == ["single-events.svg"]
    assert (tmp_path / "page.md").read_text() == page(made_up())
