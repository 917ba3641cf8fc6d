"""Judgement: what a run says when its load stands still: every window, page, revision and record, and each control.

What: waits for the last windows, then holds ledger, raw topic, rollups, journal and pages against each other; what needs
another process or a topic of its own goes on beside the waiting. Why: books can be judged only when nothing moves. It
refuses to end before every control was tried.
"""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from demo.audit import Difference
from demo.pages import Page
from proof import controls, falsified, intent, oracle, pages, replay, stock_faust
from proof.field import PARTITIONS, SLOS, Field, NotInTime, judged
from proof.hasty import hasty
from streams import topics

SHOWN = 5
LAST_MAX_S, LONGER_MAX_S, ENDS_MAX_S = 40.0, 10.0, 20.0
BESIDE = 3  # checks at once, beside the watch


def came(page: Page) -> bool:
    """Whether it was delivered."""
    return page.delivered_ms is not None


def page_checks(field: Field) -> tuple[list[str], dict[str, object]]:
    """P1 to P7 over the whole run, rows' own services and others; and how much there was to judge."""
    expected, unasked = field.pages()
    wrong = [f"no page for {dict(page.expected.group)}" for page in expected if not came(page)]
    wrong += [f"a page that nothing asked for: {key}" for key in unasked]
    if field.repeated():
        wrong.append(f"{field.repeated()} pages too many")
    more, figures = pages.judge(field.requests(), field.notes, field.lives())
    return wrong + more[:SHOWN], figures


def window_checks(field: Field) -> tuple[list[str], dict[str, object]]:
    """I1 to I3 of a minute, five minutes and an hour; and how many of them, a series each, there were to judge."""
    wrong, figures = list[str](), dict[str, object]()
    for window_ms, verdict in field.longer().items():
        name = f"windows_of_{window_ms // 1000}_s"
        figures[name] = len(judged(field.watch.audit.found(window_ms)))
        wrong += [] if figures[name] else [f"{name}: there was none to judge"]
        wrong += [f"a window of {window_ms // 1000} s: {one}" for one in verdict.differences[:SHOWN]]
    return wrong, figures


def long_controls(field: Field, seed: int) -> list[controls.Control]:
    """Those that take minutes."""
    field.heal()
    seen = [hasty(field)]
    with field.quiet():
        seen.append(controls.unclean(field.cluster))
        field.heal()
        return [*seen, *stock_faust.both(field.cluster, field.directory, seed)]


def once_more(field: Field) -> None:
    """Some of what was sent, again: dedupe off must have something to miss."""
    for key, value in field.load.noted.kept:
        field.load.raw.send(key, value, lambda error: None)
    field.load.raw.flush(LAST_MAX_S)


@dataclasses.dataclass(slots=True)
class End:
    """What is found once the load stands still: windows that differ, controls, figures, and what else is wrong."""

    differences: Sequence[Difference]
    seen: list[controls.Control]
    figures: dict[str, object]
    wrong: list[str]


def last_checks(field: Field, seed: int, told: Callable[[str], None]) -> End:
    """Everything that is judged of the whole run, and the controls. What needs another process or a topic of its own goes
    on beside."""
    told("the ends of the burns")
    with contextlib.suppress(NotInTime):
        field.until("each end of a burn", lambda: not pages.ends(field.requests(), field.lives()), ENDS_MAX_S)
    told("the load stands still; the last windows, and the raw topic read by Kafka's own consumer")
    with field.quiet(), ThreadPoolExecutor(BESIDE) as beside:
        once_more(field)
        raw = beside.submit(oracle.foreign, field.cluster.bootstrap, topics.TELEMETRY, field.unfolding)
        first = beside.submit(controls.commit_first, field.cluster.bootstrap)
        again = beside.submit(replay.beside, field.cluster.bootstrap, PARTITIONS, SLOS)
        with contextlib.suppress(NotInTime):
            field.until("every measurement", lambda: field.verdict().exact, LAST_MAX_S)
            field.until("every longer window", lambda: all(one.exact for one in field.longer().values()), LONGER_MAX_S)
        end = End(field.verdict().differences, [], {}, field.unaccounted())
        wrong, end.figures = page_checks(field)
        end.wrong += wrong
        wrong, figures = window_checks(field)
        end.wrong, end.figures = end.wrong + wrong, end.figures | figures
        told("controls")
        values, commit_first, (wrong, end.figures["transitions_replayed"]) = (
            raw.result(),
            first.result(),
            again.result(),
        )
        end.wrong += wrong
        told("what went on beside is done: the raw topic read, the partials replayed, the control that commits first")
        alone = beside.submit(controls.acks_one, field.cluster)  # kills a broker: nothing else reads any more
        end.seen += books_checks(field, seed, values, end)
        end.seen += falsified.in_pages(
            field.expected(), field.pager.arrivals(), field.opened(), field.requests(), field.watch.log
        )
        end.seen += [commit_first, alone.result()]
        told("the end")
    return end


def late_checks(late: int, on_purpose: int) -> list[str]:
    """What was put aside as too late is accounted for, and would hide a loss: nothing but what was sent so on purpose."""
    if late == on_purpose:
        return []
    return [f"{late} measurements were put aside as too late, and {on_purpose} were sent so on purpose"]


def books_checks(field: Field, seed: int, values: Sequence[bytes], end: End) -> list[controls.Control]:
    """Ledger, raw topic, rollups and journal against each other; the controls in the books."""
    truth = field.load.truth()
    raw, unreadable = oracle.cells_in(values)
    raw = judged(raw)
    field.load.journal.sync()
    books = intent.read(field.directory / "journal.tsv")
    differing = [key for key in raw.keys() | truth.keys() if raw.get(key) != truth.get(key)]
    if differing:
        end.wrong.append(f"ledger and raw topic differ in {len(differing)} cells")
    if field.load.accepted != field.load.acknowledged:
        end.wrong.append(
            f"clients took in {field.load.accepted} measurements, {field.load.acknowledged} were acknowledged"
        )
    revisions, crashes = field.watch.revisions, sum(code == -signal.SIGKILL for _, code in field.ends)
    end.wrong += revisions.broken[:SHOWN]
    end.wrong += field.strangers()
    if books.unknown:
        end.wrong.append(f"{len(books.unknown)} batches of unknown fate")
    again = oracle.repeated(values, field.load.behind)
    if again < field.answers_lost:
        end.wrong.append(
            f"{field.answers_lost} answers were lost after the commit, and {again} batches lie there twice"
        )
    end.figures |= {
        "cells_by_foreign_reader": len(raw), "cells_differing": len(differing), "unreadable_records": unreadable,
        "rollup_rows_judged": revisions.rows, "revisions_broken": len(revisions.broken),
        "batches_intended": len(books.intended), "batches_unknown": len(books.unknown),
        "worker_kills": field.kills, "broker_kills": field.cluster.kills, "gateway_kills": len(field.gate.died),
        "ends_by_themselves": len(field.ends) - crashes, "measurements": field.load.acknowledged,
        "late": field.late(), "late_on_purpose": field.late_on_purpose,
        "never_sent_as_buffers_were_full": field.load.given_up, "batches_twice_by_the_gateway": again,
        "memory_of_this_process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, **field.worst,
    }  # fmt: skip
    end.wrong += late_checks(field.late(), field.late_on_purpose)
    late = judged(field.watch.audit.late())
    return [*falsified.in_books(truth, field.found(), late, seed), falsified.without_dedupe(truth, values, judged)]
