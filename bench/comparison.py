"""Comparison: our worker and its peers on the same topic, one after another, again and again.

What: each run of each engine gives a rate, what its process tree cost, and results that are right. Ours is measured to
the end of the topic; a slower peer over a bounded time, since its rate does not depend on the total. Its first seconds do
not count. Why interleaved: a machine that slows down slows all of them. It refuses the time of a run whose results are
not those of bench/truth.py, and to take a peer that is not installed for one that is slow: that one is left out, aloud.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from bench.peer import BYTEWAX, CONSUMER, FAUST, QUIX, Peer, Running, running
from bench.peers.work import WINDOW_MS
from bench.results import Figure
from bench.rig import Rig, await_that
from bench.throughput import middle_rate, tocsin_rate
from bench.truth import Cell, Results, Window, all_rows, check, first_windows, taken_rows, windows
from bench.workloads import Load, Rows, publish

RATE = 20_000.0  # events a second of event time: slow enough that a window closes within a slow peer's run
SERIES = 1_000
FIRST_WINDOW_MS = 2_000
WARM_S = 3.0
START_S = 120.0
CLOSE_S = 120.0
EVERY_S = 0.25
ENGINES = (QUIX, BYTEWAX, FAUST)
GOALS = {"quix": ">= 10", "bytewax": "", "faust": ">= 60"}

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of one engine. `checked`: events in the results that were held against the truth."""

    per_s: float
    cpu_us: float  # of processor time for an event, process tree
    peak_mb: float
    checked: int

    def line(self) -> str:
        """In words."""
        cost = f"{self.cpu_us:.2f} us of processor time an event, {self.peak_mb:.0f} MB resident"
        return f"{self.per_s:,.0f}/s; {cost}; results of {self.checked:,} events are right"


def peer_run(rig: Rig, peer: Peer, seconds: float, judge: Callable[[Running], int]) -> Run:
    """One peer for a bounded time. `judge` checks what it did. Raises WrongOutcome."""
    with running(rig, peer) as run:
        await_that(lambda: run.done > 0, f"{peer.name} begins", START_S)
        time.sleep(WARM_S)
        begun, before = run.told[-1], run.cost()
        started, peak = time.perf_counter(), 0.0
        while time.perf_counter() - started < seconds:
            _ = run.last  # raises when it ended
            peak = max(peak, run.cost().rss_mb)
            time.sleep(EVERY_S)
        ended, after = run.told[-1], run.cost()
        events = float(str(ended[1]["done"])) - float(str(begun[1]["done"]))
        per_s = events / (ended[0] - begun[0])
        cpu_us = 1e6 * (after.cpu_s - before.cpu_s) / (time.perf_counter() - started) / per_s
        return Run(per_s, cpu_us, peak, judge(run))


@dataclasses.dataclass(frozen=True)
class Judge:
    """What was published, and how a peer's results are held against it."""

    bootstrap: str
    rows: Rows
    truth: Mapping[Window, Cell]

    def __call__(self, run: Running) -> int:
        """Events in right results. Raises WrongOutcome."""
        reader = Results(self.bootstrap, run.results)
        try:
            return self._rounds(run, reader) if run.peer.rounds else self._finals(run, reader)
        finally:
            reader.close()

    def _finals(self, run: Running, reader: Results) -> int:
        must = first_windows(self.truth)

        def closed() -> bool:
            reader.read()
            return run.done >= 0 and must <= reader.newest.keys()

        await_that(closed, f"{run.peer.name} closes the first window of every series", CLOSE_S)
        return check(reader.newest, self.truth, must)

    def _rounds(self, run: Running, reader: Results) -> int:
        facts = run.last
        taken = facts["taken"]
        if not isinstance(taken, list):
            raise TypeError(f"{run.peer.name} does not tell what it has taken")
        run.stop()  # a topic that is still written to has no end
        truth = windows(taken_rows(self.rows, taken))
        reader.read(last_round=int(str(facts["round"])))
        return check(reader.newest, truth, set(truth))


def ours(rig: Rig, load: Load) -> Run:
    """Our worker on the same topic. Raises WrongOutcome."""
    rate = tocsin_rate(rig, load)
    return Run(rate.per_s, 1e6 * rate.cores / rate.per_s, rate.peak_mb, load.measurements)


def consumer_rate(rig: Rig, records: int) -> float:
    """Records a second of the plain consumer, over the middle of the topic."""
    with running(rig, CONSUMER) as run:
        await_that(lambda: run.done >= records, f"{records:,} records consumed", START_S, EVERY_S)
        return middle_rate(run.samples(), 0.1 * records, 0.9 * records)


def ending(now_ms: int, measurements: int) -> int:
    """The latest end by which the first window is a short one: final results come so much sooner."""
    begin_ms = now_ms - round(1000 * measurements / RATE)
    return now_ms - (begin_ms + FIRST_WINDOW_MS) % WINDOW_MS


def compare(rig: Rig, measurements: int, seconds: float, runs: int, say: Say) -> list[Figure]:
    """Everyone, interleaved."""
    load = Load(measurements, SERIES, RATE, keyed=True)
    rig.fresh(keep_telemetry=False)
    end_ms = ending(time.time_ns() // 1_000_000, measurements)
    publish(rig.bootstrap, load, end_ms)
    every = all_rows(load, end_ms)
    judge = Judge(rig.bootstrap, every, windows(every))
    say(f"peers: {measurements:,} events published, of {SERIES:,} series, keyed by series")
    peers = [peer for peer in ENGINES if not _told_missing(peer, say)]
    found: dict[str, list[Run]] = {"tocsin": [], **{peer.name: [] for peer in peers}}
    idle: list[float] = []
    for _ in range(runs):
        found["tocsin"].append(ours(rig, load))
        say(f"peers: tocsin {found['tocsin'][-1].line()}")
        for peer in peers:
            found[peer.name].append(peer_run(rig, peer, seconds, judge))
            say(f"peers: {peer.name} {found[peer.name][-1].line()}")
        idle.append(consumer_rate(rig, measurements))
        say(f"peers: a plain consumer that does nothing {idle[-1]:,.0f}/s")
    return figures(found, idle)


def _told_missing(peer: Peer, say: Say) -> bool:
    if peer.missing:
        say(f"peers: {peer.missing}")
    return bool(peer.missing)


def figures(found: Mapping[str, Sequence[Run]], idle: Sequence[float]) -> list[Figure]:
    """Of all runs; ratios are of runs beside each other."""
    mine = found["tocsin"]
    same = f"same topic, same work, one worker, {SERIES:,} series, results checked"
    answers = []
    for name, runs in found.items():
        answers += [
            Figure(f"single_events_per_s_{name}", "events/s", tuple(run.per_s for run in runs), "", same),
            Figure(f"single_cpu_us_{name}", "us/event", tuple(run.cpu_us for run in runs), "", "process tree"),
            Figure(f"single_peak_rss_mb_{name}", "MB", tuple(run.peak_mb for run in runs), "", "process tree"),
        ]
        if name != "tocsin":
            ratio = tuple(ours.per_s / theirs.per_s for ours, theirs in zip(mine, runs, strict=True))
            told = f"{statistics.median(run.per_s for run in runs):,.0f} events/s; {same}"
            answers.append(Figure(f"single_vs_{name}_ratio", "x", ratio, GOALS[name], told))
    beside = tuple(ours.per_s / theirs for ours, theirs in zip(mine, idle, strict=True))
    return [
        *answers,
        Figure("single_events_per_s_consumer", "events/s", tuple(idle), "", "librdkafka in Python, nothing done"),
        Figure("single_vs_consumer_ratio", "x", beside, "", "against a plain consumer that does nothing"),
    ]
