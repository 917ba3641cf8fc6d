"""Play: a run from its first record to its verdict.

What: warm-up; each row: storm, heal, quiesce, check; then the controls, and the whole run's checks: the raw topic by
foreign code, every revision, the journal. Why: safety and liveness are asked apart: what must never be, after each row,
and what must come in the end, within a bound. It refuses to judge while faults last.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
import time
from pathlib import Path

from demo.ledger import Cells
from demo.pages import Page
from demo.workers import ROOT
from proof import controls, intent, oracle
from proof.faults import NOT_DONE, Row, rows
from proof.field import HOSTILE, Field, NotInTime
from proof.intent import burst
from proof.nemesis import Nemesis, Unexpected
from proof.report import Report, Result
from streams import topics

RESULTS = ROOT / "bench" / "results" / "chaos.json"
GOOD, BAD = 100, 60
SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What to play. `only`: rows by number; empty: all."""

    seed: int
    long: bool
    rate: int
    only: tuple[str, ...] = ()


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(f"[proof] {text}", file=sys.stderr, flush=True)


def play(order: Order) -> Report:
    """One run. Its files stay when it fails."""
    directory = Path(tempfile.mkdtemp(prefix="tocsin-proof-"))
    begun = time.monotonic()
    with Field(directory, order.seed, order.rate) as field:
        say(f"three brokers and two workers after {time.monotonic() - begun:.0f} s; seed {order.seed}")
        results = []
        for number, row in enumerate(rows(order.seed, order.long)):
            if not order.only or row.number in order.only:
                results.append(play_row(field, row, f"row-{number}", order.seed + number))
                say(
                    f"{time.monotonic() - begun:4.0f} s  {' | '.join(results[-1].cells())} {list(results[-1].wrong) or ''}"
                )
        seen, checks, wrong = last_checks(field, order.seed)
    report = Report(
        order.seed, order.long, round(time.monotonic() - begun, 1), results, seen, checks, wrong, dict(NOT_DONE)
    )
    print(report.table(), flush=True)
    if not order.only:
        report.write(RESULTS)
    if report.good:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        say(f"FAILED: {wrong}; logs of workers and brokers: {directory}")
    return report


def play_row(field: Field, row: Row, service: str, seed: int) -> Result:
    """Storm, heal, quiesce, check."""
    nemesis, wrong = Nemesis(field, seed), []
    before, sent = field.verdict(), field.load.acknowledged
    known_false, repeated = set(field.pages()[1]), field.repeated()
    failing = field.load.client(service)
    if row.pages:
        burst(failing, GOOD, 0)
        field.during(0.5)
    try:
        for number, step in enumerate(row.steps):
            if row.pages and number == 0:
                burst(failing, 0, BAD)
            nemesis.act(step)
        field.heal()
        with field.quiet():
            field.until(
                "every measurement, and the page", lambda: field.verdict().exact and not missing(field, service)
            )
    except (NotInTime, Unexpected, TimeoutError) as error:
        wrong.append(str(error))
        field.heal()
    after = field.verdict()
    wrong += [str(difference) for difference in after.differences[:SHOWN]]
    mine = [page for page in field.pages()[0] if dict(page.expected.group).get("service") == service]
    unaccounted = field.unaccounted()
    if unaccounted:
        wrong.append(f"{unaccounted:.0f} measurements unaccounted for")
    worse = {name: count - oracle.totals(before)[name] for name, count in oracle.totals(after).items()}
    return Result(
        row.number, row.name, seed, nemesis.injected, field.load.acknowledged - sent, worse["lost"], worse["doubled"],
        len(missing(field, service)), len(set(field.pages()[1]) - known_false), field.repeated() - repeated,
        nemesis.recovered_s, [page.overhead_seconds for page in mine if page.overhead_seconds is not None], wrong,
    )  # fmt: skip


def missing(field: Field, service: str) -> list[Page]:
    """Pages that the mathematics asks for and that did not come. The row's own service must be among the expected."""
    return [page for page in field.pages()[0] if page.delivered_ms is None]


def judged(cells: Cells) -> Cells:
    """Without the hostile numbers."""
    return {key: cell for key, cell in cells.items() if key[0][0] != HOSTILE}


def last_checks(field: Field, seed: int) -> tuple[list[controls.Control], dict[str, object], list[str]]:
    """Controls, and what is judged of the whole run."""
    say("controls, and the raw topic read by Kafka's own consumer")
    with field.quiet():
        truth = field.load.ledger.snapshot()
        late: Cells = field.watch.audit.late()
        seen = controls.in_books(truth, field.found(), late, seed)
        values = oracle.foreign(field.cluster.bootstrap, topics.TELEMETRY)
        raw, unreadable = oracle.cells_in(values)
        raw = judged(raw)
        seen.append(controls.without_dedupe(truth, values, judged))
        field.load.journal.sync()
        books = intent.read(field.directory / "journal.tsv")
    differing = [key for key in raw.keys() | truth.keys() if raw.get(key) != truth.get(key)]
    revisions = field.watch.revisions
    wrong = [f"ledger and raw topic differ in {len(differing)} cells"] if differing else []
    wrong += revisions.broken[:SHOWN]
    wrong += [f"{len(books.unknown)} batches of unknown fate"] if books.unknown else []
    seen += [controls.commit_first(field.cluster.bootstrap), controls.acks_one(field.cluster)]
    return (
        seen,
        {
            "cells_by_foreign_reader": len(raw), "cells_differing": len(differing), "unreadable_records": unreadable,
            "rollup_rows_judged": revisions.rows, "revisions_broken": len(revisions.broken),
            "batches_intended": len(books.intended), "batches_unknown": len(books.unknown),
            "worker_kills": field.workers.kills, "broker_kills": field.cluster.kills,
        },
        wrong,
    )  # fmt: skip
