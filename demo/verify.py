"""Verify: the demo without a screen, in bounded time, judged by the oracle.

What: publish history and the story, kill a worker on the way, then compare everything that came out with everything
that went in, and each page with the mathematics. Why: one command tells whether the promises hold on this machine. It
refuses to round: one measurement lost, doubled or altered, one page missing or too many, is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from demo.audit import TOPICS, Audit, TopicReader, Verdict
from demo.objectives import read
from demo.pages import Group, Log, Page, match
from demo.scene import CLEAR, SLOS, Plan, Scene, scene
from schemas import codec

STORY_S = 72  # of live telemetry: the last fault ends and its page is resolved
KILL_S = 56  # after the pages, before the last resolve
SETTLE_S = 25  # for the last measurements to come out
RECORD_TOPICS = ("alerts", "incidents", "slo.status")


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed."""

    verdict: Verdict
    published: int
    unknown: int
    garbage: int
    expected_late: int
    pages: list[Page]
    false_pages: list[str]
    unmeasured: list[str]  # groups without data, in words
    silent: list[str]  # groups that the story silenced, in the same words

    @property
    def resolved(self) -> bool:
        """Whether each expected page was resolved."""
        return all(page.resolved_ms is not None for page in self.pages)

    def problems(self) -> list[str]:
        """Why the run failed; empty when everything holds."""
        verdict = self.verdict
        checks = {
            f"{verdict.lost} measurements lost": verdict.lost,
            f"{verdict.doubled} measurements counted twice": verdict.doubled,
            f"{verdict.invented} measurements invented": verdict.invented,
            f"{verdict.altered} windows with other measurements": verdict.altered,
            f"{self.unknown} measurements of unknown fate": self.unknown,
            f"{verdict.dead_lettered} dead letters, {self.garbage} sent": verdict.dead_lettered != self.garbage,
            f"{verdict.late} too late, {self.expected_late} sent": verdict.late != self.expected_late,
            f"{len(self.false_pages)} pages that nothing asked for": self.false_pages,
            f"{self.silent} are not shown as unmeasured": set(self.silent) - set(self.unmeasured),
            "no page was expected: the story has not happened": not self.pages,
        }
        found = [text for text, wrong in checks.items() if wrong]
        for page in self.pages:
            subject = f"{page.expected.slo} {dict(page.expected.group)}"
            if page.delivered_ms is None:
                found.append(f"no page for {subject}")
            elif page.resolved_ms is None:
                found.append(f"the page for {subject} was not resolved")
        return found

    def line(self) -> str:
        """One JSON object."""
        return json.dumps(
            {
                "published": self.published,
                "aggregated": self.verdict.aggregated,
                "late": self.verdict.late,
                "dead_lettered": self.verdict.dead_lettered,
                "lost": self.verdict.lost,
                "doubled": self.verdict.doubled + self.verdict.invented + self.verdict.altered,
                "pages": [page.row() for page in self.pages],
                "resolved": self.resolved,
                "false_pages": len(self.false_pages),
                "unmeasured": self.unmeasured,
            }
        )


class Collector:
    """Reads the run's output as it comes."""

    def __init__(self, bootstrap: str) -> None:
        self.audit = Audit()
        self.log = Log()
        self._reader = TopicReader(bootstrap, [*TOPICS, *RECORD_TOPICS], from_beginning=True)

    def read(self, seconds: float) -> None:
        """Take in what comes within so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for topic, _, _, value in self._reader.poll(2_000, min(0.1, left)):
                if topic in TOPICS:
                    self.audit.read(topic, value)
                else:
                    self.log.apply(codec.decode(value))

    def close(self) -> None:
        """Leave."""
        self._reader.close()


def judge(found: Scene, collector: Collector) -> Outcome:
    """Compare what came out so far with what went in."""
    ledger = found.player.ledger
    outcomes = ledger.outcomes()
    expected = [
        page
        for objective in read(SLOS)
        for page in objective.expected(outcomes)
        if page.fires_ms >= found.live_ms - 1000
    ]
    pages, false_pages = match(expected, found.pager.arrivals(), collector.log)
    return Outcome(
        collector.audit.compare(ledger.snapshot()),
        sum(ledger.published.values()),
        ledger.unknown,
        found.player.garbage,
        sum(cell.count for (_, start), cell in ledger.snapshot().items() if start < found.live_ms - 3_900_000),
        pages,
        false_pages,
        sorted(words(slo, group) for (slo, group), state in collector.log.states.items() if state == "unmeasured"),
        silenced(found),
    )


def words(slo: str, group: Group) -> str:
    """An SLO's group in words."""
    return f"{slo} {' '.join(value for _, value in group)}"


def silenced(found: Scene) -> list[str]:
    """Groups that the story keeps silent to its end."""
    fleets = [fault.target for fault in found.story.faults if fault.kind == "offline"]
    return [words("vehicle-signals-by-fleet", (("region", fleet),)) for fleet in fleets]


def watch(found: Scene, collector: Collector, kill: bool) -> None:
    """The live part of the run: read along, look after the workers, kill one."""
    until = found.live_ms / 1000 + STORY_S
    kill_at = found.live_ms / 1000 + KILL_S if kill else float("inf")
    last = 0.0
    while time.time() < until:
        collector.read(1.0)
        found.workers.check()
        if found.player.failure is not None:
            raise found.player.failure
        if time.time() >= kill_at:
            kill_at = float("inf")
            say("kill -9 of worker-1, and another takes its place")
            found.workers.kill("worker-1")
            found.workers.start("worker-1")
        if time.time() - last > 10:
            last = time.time()
            taken = len(found.pager.arrivals())
            say(f"{until - last:3.0f} s to go: {collector.audit.rollups:,} rows read, {taken} calls to the pager")


def settle(found: Scene, collector: Collector) -> Outcome:
    """Stop publishing and read on until everything is accounted for, or time is up."""
    found.player.stop()
    say("sources stopped; reading what is left")
    deadline = time.monotonic() + SETTLE_S
    while True:
        collector.read(1.5)
        outcome = judge(found, collector)
        if not outcome.problems() or time.monotonic() > deadline:
            return outcome


def say(text: str) -> None:
    """Progress goes to standard error: standard output ends with the JSON line."""
    print(f"[verify] {text}", file=sys.stderr, flush=True)


def explain(outcome: Outcome, found: Scene) -> None:
    """What is wrong, in words, with the first cells that differ."""
    for problem in outcome.problems():
        say(f"FAILED: {problem}")
    differences = outcome.verdict.differences
    for difference in differences[:3]:
        say(f"  {difference.series} at {difference.start_ms}: sent {difference.sent}, found {difference.found}")
    if differences:
        starts = [difference.start_ms for difference in differences]
        kinds = Counter(difference.series[3] for difference in differences)
        say(f"  {len(differences)} cells differ, {dict(kinds)}, in {len(set(starts))} windows")
        say(f"  from {(min(starts) - found.live_ms) / 1000:.0f} s to {(max(starts) - found.live_ms) / 1000:.0f} s")
        with (found.directory / "differences.txt").open("w", encoding="utf-8") as out:
            out.writelines(f"{difference}\n" for difference in differences)
    if outcome.problems():
        say(f"logs of the workers, and all differences: {found.directory}")


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 only if everything holds."""
    parser = argparse.ArgumentParser(prog="tocsin demo --verify", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-kill", action="store_true", help="let all workers live")
    chosen = parser.parse_args(arguments)
    plan = Plan(seed=chosen.seed, workers=chosen.workers, fresh=True)
    try:
        outcome, directory = run(plan, kill=not chosen.no_kill)
    except CLEAR as error:
        say(f"FAILED: {error}")
        return 1
    shutil.rmtree(directory / "kafka" if outcome.problems() else directory, ignore_errors=True)
    print(outcome.line(), flush=True)
    return 1 if outcome.problems() else 0


def run(plan: Plan, kill: bool) -> tuple[Outcome, Path]:
    """One verification: what it showed, and where its files are."""
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(scene(plan, say))
        collector = Collector(found.bootstrap)
        stack.callback(collector.close)
        watch(found, collector, kill)
        outcome = settle(found, collector)
        explain(outcome, found)
        return outcome, found.directory
