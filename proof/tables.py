"""Tables: what docs/reliability.md says of the latest runs, written from bench/results and from nothing else.

What: between marks of its name, what each file of results says: runs of faults with their controls (and stock Faust beside the
short ones), all controls, simulation, smoke. Why: a page that is written by hand is wrong after the next run; a test holds it
against the files. It refuses to fill in: what an older run did not measure is said to be not measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from demo import windows
from demo.workers import ROOT
from proof.report import NOT_MEASURED, controls_table, table

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "reliability.md"
MARKS = "<!-- {}: begin -->", "<!-- {}: end -->"
STOCK = "stock Faust"  # how the controls with it begin


def read(results: Path, name: str) -> dict[str, Any]:
    """A file of results; empty where there is none."""
    path = results / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def of_form(known: Mapping[str, Any], form: str) -> list[Mapping[str, Any]]:
    """Its runs, by seed."""
    return [run for _, run in sorted(known.get(form, {}).items(), key=lambda item: int(item[0]))]


def chaos(results: Path) -> Iterator[str]:
    """Of each form a line for each seed, then the tables of the least seed."""
    known = read(results, "chaos")
    for form in ("short", "long"):
        runs = of_form(known, form)
        if runs:
            yield from (f"* {said(form, run)}" for run in runs)
            yield from ("", f"Seed {runs[0]['seed']}:", "", table(runs[0]), "")
        if runs and form == "short":
            yield from stock(results)


def stock(results: Path) -> Iterator[str]:
    """What stock Faust came to under kills, beside runs that are too short to play it."""
    for run in of_form(read(results, "controls"), "controls")[:1]:
        found = [one for one in run["controls"] if one["name"].startswith(STOCK)]
        yield f"Stock Faust under kills of the same kind, out of the run of all controls of {run['measured']}:"
        yield from ("", controls_table({"controls": found}), "")


def controls(results: Path) -> Iterator[str]:
    """Every control."""
    for run in of_form(read(results, "controls"), "controls"):
        yield from (f"All controls, seed {run['seed']}, {run['measured']}:", "", controls_table(run), "")


def simulate(results: Path) -> Iterator[str]:
    """The newest whole run of the simulation."""
    run = read(results, "simulate")
    tiers = " and ".join(f"{count:,} of the {tier}" for tier, count in sorted(run["tiers"].items()))
    ends = ", ".join(f"{count:,} {step}" for step, count in sorted(run["ends"].items()))
    yield f"{run['seeds']:,} seeds from {run['first']} ({tiers}), {run['measured']}, {run['seconds']:,.0f} s, processes: {run['jobs']}."
    yield f"Failed: {run['failed'] or 'none'}. Workers ended: {ends}."


def smoke(results: Path) -> Iterator[str]:
    """The newest whole run of the foreign oracle."""
    run = read(results, "smoke")
    yield (
        f"Latest whole run: {run['measured']}, {run['seconds']:,.0f} s, {run['keys']} keys of {run['records']:,} records, "
        f"{run['kills']} workers killed: passed. Wrongs refused: {', '.join(run['refused'])}."
    )


SECTIONS = {"chaos": chaos, "controls": controls, "simulate": simulate, "smoke": smoke}


def rewritten(text: str, results: Path = RESULTS) -> str:
    """The page with each of its sections anew; those of which there is no file stay as they are."""
    for name, section in SECTIONS.items():
        begin, end = (mark.format(name) for mark in MARKS)
        head, found, rest = text.partition(begin)
        if found and (results / f"{name}.json").exists():
            _, _, tail = rest.partition(end)
            text = f"{head}{begin}\n" + "\n".join(section(results)).rstrip() + f"\n{end}{tail}"
    return text


def write(page: Path = PAGE, results: Path = RESULTS) -> None:
    """Into the page."""
    page.write_text(rewritten(page.read_text(encoding="utf-8"), results), encoding="utf-8")


def said(form: str, run: Mapping[str, Any]) -> str:
    """One line about a run."""
    checks, of = run["checks"], run["machine"]
    verdict = "everything held" if run["good"] else "; ".join(["IT DID NOT HOLD", *run.get("why", ())])
    late = told(checks, "late") + (f", {checks['late_on_purpose']:,} on purpose" if "late_on_purpose" in checks else "")
    lengths = [told(checks, f"windows_of_{window_ms // 1000}_s") for window_ms in windows.LENGTHS_MS]
    longer = ", ".join(lengths) if set(lengths) != {NOT_MEASURED} else NOT_MEASURED
    return (
        f"Seed {run['seed']}, {form} form, {run['measured']}, {run['seconds']:,.0f} s: {verdict}. "
        f"{told(checks, 'measurements')} measurements (too late: {late}); kills of workers: {told(checks, 'worker_kills')}, of "
        f"brokers: {told(checks, 'broker_kills')}, of the gateway: {told(checks, 'gateway_kills')}; windows of 60, 300 and 3,600 s "
        f"that were judged: {longer}; transitions replayed: {told(checks, 'transitions_replayed')}. {of['cores']} cores, "
        f"{of['broker']}, Python {of['python']}."
    )


def told(checks: Mapping[str, Any], name: str) -> str:
    """A figure of a whole run."""
    return f"{checks[name]:,}" if name in checks else NOT_MEASURED
