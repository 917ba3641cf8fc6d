"""Play: a run from its first record to its verdict.

What: warm-up; each row: storm, heal, recover, page; then quiesce, and the checks: every window, the raw topic by foreign
code, every revision, the journal, the controls. Why: liveness is asked of each row, within a bound; safety of the whole,
where each wrong window is blamed on the row in which it lies. It refuses to judge books while faults last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from demo.audit import Difference
from demo.ledger import WINDOW_MS
from demo.pages import Page
from demo.workers import ROOT
from proof import controls, intent, oracle, pages, stock_faust
from proof.faults import NOT_DONE, Row, rows
from proof.field import Field, NotInTime, judged
from proof.intent import burst
from proof.nemesis import Nemesis, Unexpected
from proof.report import Report, Result, into, joined
from streams import topics

RESULTS = ROOT / "bench" / "results" / "chaos.json"
CONTROL_ROWS = ("21",)  # records again: without them there is nothing that dedupe could be off for
CONTROLS = RESULTS.with_name("controls.json")
PAGE = ROOT / "docs" / "reliability.md"
GOOD, BAD, RECOVERY = 40, 25, 3_000  # so many good ones later less than 1 % is bad: the burn ends
SHOWN = 5
LAST_MAX_S, ENDS_MAX_S = 40.0, 20.0
PATIENCE_S, LONG_PATIENCE_S = 90.0, 240.0  # for anything that must come


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What to play. `only`: rows by number; empty: all. `page`: write the tables into the documentation. `minutes`: after
    so many no row is begun any more (0: all are)."""

    seed: int
    long: bool
    rate: int
    only: tuple[str, ...] = ()
    page: bool = False
    minutes: float = 0.0
    controls: bool = False  # all controls, beside one row

    @property
    def form(self) -> str:
        """As the file of results names it."""
        return "controls" if self.controls else "long" if self.long else "short"


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(f"[proof] {text}", file=sys.stderr, flush=True)


def play(order: Order) -> Report:
    """One run. Its files stay when it fails."""
    directory = Path(tempfile.mkdtemp(prefix="tocsin-proof-"))
    begun = time.monotonic()
    with Field(directory, order.seed, order.rate, LONG_PATIENCE_S if order.long else PATIENCE_S) as field:
        say(f"three brokers and two workers after {time.monotonic() - begun:.0f} s; seed {order.seed}")
        results, left = [], []
        for number, row in enumerate(rows(order.seed, order.long, everything=bool(order.only))):
            if order.minutes and time.monotonic() - begun > order.minutes * 60:
                left.append(row.number)
            elif not order.only or row.number in order.only:
                results.append(play_row(field, row, f"row-{number}", order.seed + number))
                wrong = results[-1].wrong
                say(f"{time.monotonic() - begun:4.0f} s  {' | '.join(results[-1].cells())} {list(wrong) or ''}")
        results = blamed(results, settled(field))
        wrong, figures = page_checks(field)
        seen, checks, more = last_checks(field, order.seed)
        if order.long or order.controls:
            seen += long_controls(field, order.seed)
    report = Report(
        order.seed, order.long, round(time.monotonic() - begun, 1), joined(results), seen, checks | figures, [*wrong, *more],
        NOT_DONE | dict.fromkeys(set(left) - {one.row for one in results}, "the time was over"),
    )  # fmt: skip
    print(report.table(), flush=True)
    say(" ".join(f"{name}={value}" for name, value in report.checks.items()))
    path, name = (CONTROLS, "controls") if order.controls else (RESULTS, "chaos")
    if order.controls or not order.only:
        report.write(path, order.form)
    if order.page:
        into(PAGE, path, name)
    if report.good:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        say(f"FAILED: {report.why()}; logs of workers and brokers: {directory}")
    return report


def play_row(field: Field, row: Row, service: str, seed: int) -> Result:
    """Storm, heal, and wait until work goes on and the page is there. What was lost is judged at the end, by window."""
    nemesis, wrong, begun_ms = Nemesis(field, seed), [], time.time_ns() // 1_000_000
    sent, known_false, repeated = field.load.acknowledged, field.unasked(), field.repeated()
    failing = field.load.failing(service)
    if row.pages:
        known = field.known(service)
        burst(failing, GOOD, 0)
        try:
            field.until(f"the first requests of {service}", lambda: known(GOOD))
        except NotInTime as error:
            wrong.append(str(error))
        burst(failing, 0, BAD)
    if row.lasting:
        field.load.ailing.add(failing)
    for step in row.steps:
        try:
            nemesis.act(step)
        except (NotInTime, Unexpected) as error:
            wrong.append(f"{step}: {error}")
            field.heal()
    healed_ms = time.time_ns() // 1_000_000
    try:
        field.heal()
        healed_ms = time.time_ns() // 1_000_000
        if row.pages:
            field.until(f"the page of {service}", lambda: any(came(page) for page in field.pages([service])[0]))
            burst(failing, 0 if row.lasting else RECOVERY, 0)
    except NotInTime as error:
        wrong.append(str(error))
    field.load.ailing.discard(failing)
    wrong += field.unaccounted()
    mine, _ = field.pages([service])
    if row.pages and not mine:
        wrong.append("no page was expected: the row has nothing to lose")
    wrong += pages.late([(page.delivered_ms - max(page.expected.fires_ms, healed_ms)) / 1000 for page in mine
                         if page.delivered_ms is not None], pages.LATE_MAX_S)  # fmt: skip
    return Result(
        row.number, row.name, seed, begun_ms, nemesis.injected, field.load.acknowledged - sent, 0, 0,
        sum(not came(page) for page in mine), len(field.unasked(known_false)), field.repeated() - repeated,
        nemesis.recovered_s, [page.overhead_seconds for page in mine if page.overhead_seconds is not None], wrong,
    )  # fmt: skip


def came(page: Page) -> bool:
    """Whether it was delivered."""
    return page.delivered_ms is not None


def blamed(results: Sequence[Result], differences: Sequence[Difference]) -> list[Result]:
    """Each cell that is wrong, counted in the row that had begun when its window ended."""
    found = list(results)
    for one in differences:
        place = max((n for n, row in enumerate(found) if row.begun_ms < one.start_ms + WINDOW_MS), default=0)
        sent, out = one.sent.count if one.sent else 0, one.found.count if one.found else 0
        row = found[place]
        found[place] = dataclasses.replace(
            row, lost=row.lost + max(0, sent - out), doubled=row.doubled + (max(0, out - sent) or sent == out),
            wrong=[*row.wrong, str(one)] if len(row.wrong) < SHOWN else row.wrong,
        )  # fmt: skip
    return found


def page_checks(field: Field) -> tuple[list[str], dict[str, object]]:
    """P1 to P7 over the whole run, rows' own services and others; and how much there was to judge."""
    with contextlib.suppress(NotInTime):
        field.until("each end of a burn", lambda: not pages.ends(field.requests(), field.lives()), ENDS_MAX_S)
    expected, unasked = field.pages()
    wrong = [f"no page for {dict(page.expected.group)}" for page in expected if not came(page)]
    wrong += [f"a page that nothing asked for: {key}" for key in unasked]
    if field.repeated():
        wrong.append(f"{field.repeated()} pages too many")
    wrong += field.unaccounted()
    more, figures = pages.judge(field.requests(), field.notes, field.lives())
    return wrong + more[:SHOWN], figures


def settled(field: Field) -> Sequence[Difference]:
    """What is wrong once the load stands still and everything had time to come out: nothing, it is hoped."""
    say("the load stands still; waiting for the last windows")
    with field.quiet():
        for key, value in field.load.noted.kept:
            field.load.raw.send(key, value, lambda error: None)  # once more: dedupe off must have something to miss
        field.load.raw.flush(LAST_MAX_S)
        with contextlib.suppress(NotInTime):
            field.until("every measurement", lambda: field.verdict().exact, LAST_MAX_S)
        return field.verdict().differences


def long_controls(field: Field, seed: int) -> list[controls.Control]:
    """Those that take minutes."""
    say("controls that take their time: an election that is not clean, stock Faust")
    with field.quiet():
        seen = [controls.unclean(field.cluster)]
        field.until("all copies in sync", field.cluster.healed)
        return [*seen, *stock_faust.both(field.cluster, field.directory, seed)]


def last_checks(field: Field, seed: int) -> tuple[list[controls.Control], dict[str, object], list[str]]:
    """Controls, and what is judged of the whole run."""
    say("controls, and the raw topic read by Kafka's own consumer")
    with field.quiet():
        with contextlib.suppress(
            NotInTime
        ):  # the load went on while pages were judged; books that are not exact say so
            field.until("the last measurements", lambda: field.verdict().exact, LAST_MAX_S)
        truth = field.load.truth()
        late = judged(field.watch.audit.late())
        seen = controls.in_books(truth, field.found(), late, seed)
        values = oracle.foreign(field.cluster.bootstrap, topics.TELEMETRY)
        raw, unreadable = oracle.cells_in(values)
        raw = judged(raw)
        seen.append(controls.without_dedupe(truth, values, judged))
        field.load.journal.sync()
        books = intent.read(field.directory / "journal.tsv")
    differing = [key for key in raw.keys() | truth.keys() if raw.get(key) != truth.get(key)]
    revisions, crashes = field.watch.revisions, sum(code == -signal.SIGKILL for _, code in field.ends)
    wrong = [f"ledger and raw topic differ in {len(differing)} cells"] if differing else []
    wrong += revisions.broken[:SHOWN]
    counted, series = field.flood()
    if counted != field.flooded or (field.flooded and series >= field.flooded):
        wrong.append(f"of {field.flooded} measurements of the flood {counted} were counted, in {series} series")
    wrong += [f"{len(books.unknown)} batches of unknown fate"] if books.unknown else []
    seen += [controls.commit_first(field.cluster.bootstrap), controls.acks_one(field.cluster)]
    return (
        seen,
        {
            "cells_by_foreign_reader": len(raw), "cells_differing": len(differing), "unreadable_records": unreadable,
            "rollup_rows_judged": revisions.rows, "revisions_broken": len(revisions.broken),
            "batches_intended": len(books.intended), "batches_unknown": len(books.unknown),
            "worker_kills": field.kills, "broker_kills": field.cluster.kills,
            "ends_by_themselves": len(field.ends) - crashes, "measurements": field.load.acknowledged,
            "never_sent_as_buffers_were_full": field.load.given_up,
            "memory_of_this_process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        },
        wrong,
    )  # fmt: skip
