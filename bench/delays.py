"""Delays: the table of docs/verdicts.md that says when a page comes, written from bench/results and from nothing else.

What: how long after the burn's first event each system paged, by error ratio, and how many times less our overhead is; goal
and verdict as the JSON has them. Why generated: a page that is written by hand is wrong after the next run; a test holds it
against the JSON. It refuses figures that are not there: without a run the page says that nothing was measured.
"""

from __future__ import annotations

import pathlib
import re

from bench.page import DOCS, Figures, Row, number, rows
from bench.plot import written

PAGE = DOCS / "verdicts.md"
BEGIN, END = "<!-- delays:begin -->", "<!-- delays:end -->"
SYSTEMS = {
    "tocsin": "Tocsin: page after, of it overhead",
    "prometheus_default": "Debian's 15 s / 15 s, group_wait 30 s",
    "prometheus_fastest": "1 s / 1 s, group_wait 0 s",
}
WORDS = {"prometheus_default": "Debian's intervals", "prometheus_fastest": "the fastest ones"}
_BURN = re.compile(r"(\d+)% bad: page after ([\d.]+) s, ([\d.]+) s of it overhead")


def burns(row: Row) -> dict[int, str]:
    """What `detection.line` says of each error ratio, in %, as a cell."""
    return {
        int(percent): f"{after} s, {overhead} s" for percent, after, overhead in _BURN.findall(str(row["baseline"]))
    }


def ahead(name: str, row: Row) -> str:
    """How many times less our overhead is than another's."""
    goal = f"{row['goal']} {'reached' if row['reached'] else '**missed**'}"
    return f"{written(number(row, 'value'))} times less than with {WORDS[name]} (goal {goal})"


def lines(figures: Figures) -> list[str]:
    """The table and what it comes to."""
    known = rows(figures)
    found = {name: known.get(f"detection_overhead_{name}_s") for name in SYSTEMS}
    measured = {name: row for name, row in found.items() if row is not None}
    if len(measured) < len(SYSTEMS):
        return ["Not measured yet."]
    cells = {name: burns(row) for name, row in measured.items()}
    table = [f"| {percent} % | {' | '.join(cells[name][percent] for name in SYSTEMS)} |" for percent in cells["tocsin"]]
    ours, theirs = measured["tocsin"], measured["prometheus_default"]
    ratios = {name: known.get(f"page_overhead_vs_{name}_ratio") for name in WORDS}
    times = [ahead(name, row) for name, row in ratios.items() if row is not None]
    return [
        f"Measured {ours['measured']}, {ours['mode']} form: {ours['runs']} pages of ours, {theirs['runs']} of each kind of pair.",
        "",
        f"| error ratio | {' | '.join(SYSTEMS.values())} |",
        "|---|---|---|---|",
        *table,
        "",
        f"Overhead, median against median: {'; '.join(times)}.",
    ]


def rewritten(text: str, figures: Figures) -> str:
    """The page with the table between its marks. Raises ValueError where a mark is missing."""
    head, tail = text[: text.index(BEGIN)], text[text.index(END) :]
    return "\n".join([head + BEGIN, "", *lines(figures), "", tail])


def write(figures: Figures, page: pathlib.Path = PAGE) -> None:
    """Into the page."""
    page.write_text(rewritten(page.read_text(encoding="utf-8"), figures), encoding="utf-8")
