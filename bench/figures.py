"""Figures of the pages: rewrites the tables of README and docs/verdicts.md, and docs/benchmarks.md with its pictures.

What: bench/results/latest.json and demo-verify.json beside it to Markdown and SVG; `--verify FILE` takes the latter
from the last line of the output of `make demo-verify`. Why: a figure that is copied by hand is wrong after the next
change. It refuses to invent: what was not measured is shown as not measured.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

from bench import delays, page
from bench.results import RESULTS

README = RESULTS.parent.parent / "README.md"
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
NOTHING = "not measured yet"


def known(name: str) -> dict[str, object]:
    """A results file's content; empty where there is none."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def number(value: object) -> str:
    """As people read it: three digits that count, thousands apart."""
    digits = ",.0f" if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 100) else ".3g"
    return format(value, digits) if isinstance(value, int | float) else "-"


def promises(run: dict[str, object]) -> list[str]:
    """What one run of `make demo-verify` showed."""
    pages = run.get("pages")
    over = [page["overhead_seconds"] for page in pages] if isinstance(pages, list) else []
    told = [value for value in over if value is not None]
    rows = {f"measurements {name}": run.get(name) for name in ("published", "aggregated", "late", "lost", "doubled")}
    rows |= {"unreadable records": run.get("dead_lettered"), "pages asked for": len(over), "delivered": len(told)}
    rows |= {"not asked for": run.get("false_pages"), "slowest, s behind the mathematics": max(told, default=None)}
    lines = [f"| {what} | {number(value) if run else NOTHING} |" for what, value in rows.items()]
    return ["| `make demo-verify` | one run |", "|---|---|", *lines]


def measured(figures: dict[str, object]) -> list[str]:
    """What the benchmark measured: median, spread and goal of each figure that has a goal; docs/benchmarks.md has all."""
    lines = ["| `make bench` | median | lowest to highest | runs | goal |", "|---|---|---|---|---|"]
    rows = {name: row for name, row in sorted(figures.items()) if isinstance(row, dict) and row.get("goal")}
    for name, row in rows.items():
        spread = f"{number(row['min'])} to {number(row['max'])}"
        goal = f"{row['goal']} {'reached' if row['reached'] else 'missed'}"
        lines.append(f"| {name} | {number(row['value'])} {row['unit']} | {spread} | {row['runs']} | {goal} |")
    machine = figures.get("machine")
    where = f"{machine['cores']} cores, Python {machine['python']}" if isinstance(machine, dict) else ""
    return [*lines, "", f"Machine: {where}."] if rows else [*lines, f"| all figures | {NOTHING} | | | |"]


def rewritten(text: str, lines: list[str]) -> str:
    """The page with these lines between the markers. Raises ValueError where a marker is missing."""
    return "\n".join([text[: text.index(BEGIN)] + BEGIN, "", *lines, "", text[text.index(END) :]])


def main(arguments: list[str]) -> None:
    """Rewrite the tables of README and verdicts, and the page of benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m bench.figures")
    parser.add_argument("--verify", type=pathlib.Path, help="output of a run of `make demo-verify`")
    chosen = parser.parse_args(arguments)
    if chosen.verify is not None:
        last = json.loads(chosen.verify.read_text(encoding="utf-8").splitlines()[-1])
        (RESULTS / "demo-verify.json").write_text(json.dumps(last, indent=1) + "\n", encoding="utf-8")
    lines = [*promises(known("demo-verify")), "", *measured(known("latest"))]
    README.write_text(rewritten(README.read_text(encoding="utf-8"), lines), encoding="utf-8")
    page.write(known("latest"))
    delays.write(known("latest"))


if __name__ == "__main__":
    main(sys.argv[1:])
