"""Kafka Streams beside ours: the same topic and work, in Java, at least once and exactly once, one after another.

What: our worker, then bench/peers/kstreams on two threads with either guarantee, again and again. Its process goes through
the topic twice: once as another application, until its compiler is warm (after 2 M events its rate still rose, by twice),
and then for its time, which is that of the middle of the topic, as for ours; processor time and memory of the process.
Why all of its results are checked: it reads to the end, so that every window of every series must be there. It refuses
the time of a run whose results are not those of bench/truth.py.
"""

from __future__ import annotations

import pathlib
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence

from bench import jvm
from bench.comparison import RATE, SERIES, Run, Say, ours
from bench.peer import Peer, Running, running
from bench.results import Figure
from bench.rig import ROOT, Rig, await_that
from bench.throughput import RUN_S, SAMPLE_S, UNTIL, WARM, middle_rate
from bench.truth import Cell, Results, Window, all_rows, check, windows
from bench.workloads import Load, publish

SHARED = ROOT / "bench" / "peers" / "jvm"
SOURCES = (SHARED, ROOT / "bench" / "peers" / "kstreams")
SCHEMA = ROOT / "schemas" / "avro" / "telemetry_event.avsc"
WANTED = (jvm.STREAMS, jvm.AVRO, jvm.LOGGING)
THREADS = 2
HEAP_MB = 1_536
SETTLE_S = 60.0
EVENTS_MIN = 2_000_000  # fewer, and one poll is too much of the middle
#: Guarantee -> the name in figures, and the goal of ours against it.
GUARANTEES = {"at_least_once": ("kstreams", ">= 1.2"), "exactly_once_v2": ("kstreams_eos", "")}


def peer(classes: pathlib.Path) -> Peer:
    """The program, compiled into `classes`."""
    program, *words = jvm.command(jvm.compiled(SOURCES, WANTED, classes), HEAP_MB, "Windows")
    return Peer("kstreams", tuple(words), program=program)


#: What every program of the peers in Java is told besides what every peer is told.
SETTINGS = {"BENCH_THREADS": str(THREADS), "BENCH_SCHEMA": str(SCHEMA)}


def measured(rig: Rig, engine: Peer, guarantee: str, truth: Mapping[Window, Cell], events: int) -> Run:
    """One run to the end of the topic, after one that warms the program up. Raises WrongOutcome."""
    warm_results = rig.name(f"{engine.name}-warm-results")
    rig.topic(warm_results)
    warm = {"BENCH_GUARANTEE": guarantee, "BENCH_WARM_EVENTS": str(events), "BENCH_WARM_RESULTS": warm_results}
    with running(rig, engine, SETTINGS | warm) as run:
        spent: list[tuple[float, float]] = []  # (events done, processor seconds)
        peak = 0.0

        def done() -> bool:
            nonlocal peak
            count, cost = run.done, run.cost()
            peak = max(peak, cost.rss_mb)
            spent.append((count, cost.cpu_s))
            return count >= events

        await_that(done, f"{engine.name} with {guarantee} takes {events:,} events", RUN_S, SAMPLE_S)
        rate = middle_rate(run.samples(), events * WARM, events * UNTIL)
        middle = [each for each in spent if each[0] >= events * WARM]
        cpu_us = 1e6 * (middle[-1][1] - middle[0][1]) / max(1.0, middle[-1][0] - middle[0][0])
        return Run(rate, cpu_us, peak, judged(rig, run, truth, events))


def judged(rig: Rig, run: Running, truth: Mapping[Window, Cell], events: int) -> int:
    """Events in its results, which must be all and right. Raises WrongOutcome."""
    reader = Results(rig.bootstrap, run.results, committed=True)
    deadline = time.monotonic() + SETTLE_S
    try:
        while sum(int(str(each["count"])) for each in reader.newest.values()) != events:
            reader.read()
            if time.monotonic() > deadline:
                break
        return check(reader.newest, truth, set(truth))
    finally:
        reader.close()


def published(rig: Rig, name: str, load: Load, say: Say) -> dict[Window, Cell]:
    """What an engine in Java is measured on is published; every window of it."""
    rig.fresh(keep_telemetry=False)
    end_ms = time.time_ns() // 1_000_000
    publish(rig.bootstrap, load, end_ms)
    truth = windows(all_rows(load, end_ms))
    say(f"{name}: {load.measurements:,} events published, of {load.series:,} series, keyed by series")
    return truth


def compare(rig: Rig, measurements: int, runs: int, say: Say) -> list[Figure]:
    """Ours and both guarantees, interleaved."""
    load = Load(measurements, SERIES, RATE, keyed=True)
    truth = published(rig, "kstreams", load, say)
    found: dict[str, list[Run]] = {name: [] for name in ("tocsin", *GUARANTEES)}
    with tempfile.TemporaryDirectory(prefix="tocsin-classes-") as folder:
        engine = peer(pathlib.Path(folder))
        for _ in range(runs):
            found["tocsin"].append(ours(rig, load))
            say(f"kstreams: tocsin {found['tocsin'][-1].line()}")
            for guarantee in GUARANTEES:
                found[guarantee].append(measured(rig, engine, guarantee, truth, measurements))
                say(f"kstreams: {guarantee} {found[guarantee][-1].line()}")
    return figures(found)


def beside(name: str, goal: str, mine: Sequence[Run], theirs: Sequence[Run], told: str) -> list[Figure]:
    """Of one engine's runs; ratios are of runs beside each other. `told`: what is said after the two medians."""
    ratio = tuple(us.per_s / them.per_s for us, them in zip(mine, theirs, strict=True))
    cost = tuple(us.cpu_us / them.cpu_us for us, them in zip(mine, theirs, strict=True))
    medians = tuple(statistics.median(run.per_s for run in each) for each in (mine, theirs))
    told = f"{medians[0]:,.0f} events/s against {medians[1]:,.0f} of {told}; {SERIES:,} series, all results checked"
    return [
        Figure(f"single_vs_{name}_ratio", "x", ratio, goal, told),
        Figure(f"single_events_per_s_{name}", "events/s", tuple(run.per_s for run in theirs), "", told),
        Figure(f"single_cpu_us_{name}", "us/event", tuple(run.cpu_us for run in theirs), "", "process tree"),
        Figure(f"single_peak_rss_mb_{name}", "MB", tuple(run.peak_mb for run in theirs), "", "process tree"),
        Figure(f"single_cpu_vs_{name}_ratio", "x", cost, "", "processor time an event, ours against theirs"),
    ]


def figures(found: Mapping[str, Sequence[Run]]) -> list[Figure]:
    """Of all runs."""
    answers = []
    for guarantee, (name, goal) in GUARANTEES.items():
        told = f"Kafka Streams {jvm.KAFKA}, {THREADS} threads, {guarantee}, commit each second, warmed by a pass through the topic"
        answers += beside(name, goal, found["tocsin"], found[guarantee], told)
    return answers
