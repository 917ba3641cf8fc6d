"""Play: a run from its first record to its verdict.

What: warm-up; each row: storm, heal, recover, page; then quiesce, and the checks (`proof.judgement`). Why: liveness is asked of each row, within a bound; safety of the whole,
where each wrong window is blamed on the row in which it lies. It refuses to judge books while faults last.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from demo.audit import Difference
from demo.ledger import WINDOW_MS
from proof import pages, tables
from proof.faults import NODES, NOT_DONE, Row, rows
from proof.field import Field, NotInTime
from proof.harm import Unexpected
from proof.intent import burst
from proof.judgement import SHOWN, came, last_checks, long_controls
from proof.nemesis import Nemesis
from proof.report import Report, Result, joined
from proof.tables import RESULTS

CONTROL_ROWS = ("21",)  # records again: without them there is nothing that dedupe could be off for
GOOD, BAD, RECOVERY = 40, 25, 3_000  # so many good ones later less than 1 % is bad: the burn ends
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

    def told(text: str) -> None:
        say(f"{time.monotonic() - begun:4.0f} s  {text}")

    patience_s = LONG_PATIENCE_S if order.long else PATIENCE_S
    with Field(directory, order.seed, order.rate, patience_s, order.long) as field:
        told(f"three brokers, two workers and a gateway; seed {order.seed}")
        results, left = [], []
        for number, row in enumerate(rows(order.seed, order.long, everything=bool(order.only))):
            if order.minutes and time.monotonic() - begun > order.minutes * 60:
                left.append(row.number)
            elif not order.only or row.number in order.only:
                results.append(play_row(field, row, f"row-{number}", order.seed + number))
                wrong = results[-1].wrong
                told(f"{' | '.join(results[-1].cells())} {list(wrong) or ''}")
        end = last_checks(field, order.seed, told)
        if order.long or order.controls:
            told("controls that take their time: an election that is not clean, stock Faust")
            end.seen += long_controls(field, order.seed)
    seconds = round(time.monotonic() - begun, 1)
    report = Report(
        order.seed, order.long, seconds, joined(blamed(results, end.differences)), end.seen, end.figures, end.wrong,
        NOT_DONE | dict.fromkeys(set(left) - {one.row for one in results}, "the time was over"), not order.only,
    )  # fmt: skip
    print(report.table(), flush=True)
    say(" ".join(f"{name}={value}" for name, value in report.checks.items()))
    if order.controls or not order.only:
        report.write(RESULTS / f"{'controls' if order.controls else 'chaos'}.json", order.form)
    if order.page:
        tables.write()
    if report.good:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        say(f"FAILED: {report.why()}; logs of workers and brokers: {directory}")
    return report


def play_row(field: Field, row: Row, service: str, seed: int) -> Result:
    """Storm, heal, and wait until work goes on and the page is there. What was lost is judged at the end, by window."""
    nemesis, wrong, begun_ms = Nemesis(field, seed), [], time.time_ns() // 1_000_000
    sent, late, known_false, repeated = field.load.acknowledged, field.late(), field.unasked(), field.repeated()
    failing = field.load.failing_gated(service) if row.gated else field.load.failing(service)
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
            if not row.lasting:
                burst(failing, RECOVERY, 0)
                field.load.well.add(failing)
    except NotInTime as error:
        wrong.append(str(error))
    field.load.ailing.discard(failing)
    wrong += field.unaccounted()
    mine, _ = field.pages([service])
    if row.pages and not mine:
        wrong.append("no page was expected: the row has nothing to lose")
    wrong += pages.late([(page.delivered_ms - max(page.expected.fires_ms, healed_ms)) / 1000 for page in mine
                         if page.delivered_ms is not None], late_max_s(row))  # fmt: skip
    return Result(
        row.number, row.name, seed, begun_ms, nemesis.injected, field.load.acknowledged - sent, 0, 0,
        sum(not came(page) for page in mine), len(field.unasked(known_false)), field.repeated() - repeated,
        nemesis.recovered_s, [page.overhead_seconds for page in mine if page.overhead_seconds is not None], wrong,
        field.late() - late,
    )  # fmt: skip


def late_max_s(row: Row) -> float:
    """P4's bound: a page waits for what sources held while all brokers were away, and that is taken in in order."""
    away_s = sum(step.seconds for step in row.steps if step.action == "outage" and step.count == NODES)
    return pages.LATE_MAX_S + away_s * pages.LATE_SHARE


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
