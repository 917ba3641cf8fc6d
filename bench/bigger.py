"""Bigger: ours beside the Java peers with a million series, and with two workers.

What: the comparisons of bench/kstreams.py and bench/flink.py on other work. A million series: each seen once before the
time counts, event time as fast as bench/shapes.py has it. Two workers: two of ours against two processes of Kafka Streams
with a thread each, which go through the topic once by themselves, begin together, and are timed from when both hold
partitions; and against Flink, which has a parallelism of two in one process anyway. Why Python's peers are left out: at
their rates a million series would not be seen once within a run. It refuses the time of a run whose results are wrong.
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence

from bench import flink, kstreams
from bench.comparison import RATE, SERIES, Run, Say, ours
from bench.pair import Together, two_rate
from bench.peer import Peer, Running, joined, results_of
from bench.recovery import held
from bench.results import Figure
from bench.rig import Rig, await_that
from bench.shapes import MILLION, MILLION_RATE
from bench.throughput import RUN_S, SAMPLE_S, UNTIL, WARM, Sample, middle_rate
from bench.truth import Cell, Window
from bench.workloads import PARTITIONS, Load

MILLION_EVENTS = 4_000_000  # besides the first sight of each series
MILLION_HEAP_MB = 4_096  # Flink keeps its state there
GUARANTEE = "at_least_once"
BALANCE_S = 60.0


def million(rig: Rig, runs: int, say: Say) -> list[Figure]:
    """A million series: ours, Kafka Streams, Flink, interleaved."""
    load = Load(MILLION_EVENTS + MILLION, MILLION, MILLION_RATE, keyed=True, warm_up=True)
    truth = kstreams.published(rig, "bigger", load, say)
    found: dict[str, list[Run]] = {"tocsin": [], "kstreams": [], "flink": []}
    with tempfile.TemporaryDirectory(prefix="tocsin-classes-") as folder:
        engines = {
            "kstreams": (kstreams.peer(pathlib.Path(folder, "kstreams")), GUARANTEE),
            "flink": (flink.peer(pathlib.Path(folder, "flink"), MILLION_HEAP_MB), flink.GUARANTEE),
        }
        for _ in range(runs):
            found["tocsin"].append(ours(rig, load))
            say(f"bigger: {MILLION:,} series, tocsin {found['tocsin'][-1].line()}")
            for name, (engine, guarantee) in engines.items():
                found[name].append(kstreams.measured(rig, engine, guarantee, truth, load.measurements))
                say(f"bigger: {MILLION:,} series, {name} {found[name][-1].line()}")
    return million_figures(found)


def million_figures(found: Mapping[str, Sequence[Run]]) -> list[Figure]:
    """Of all runs; ratios are of runs beside each other."""
    rates = {name: tuple(run.per_s for run in runs) for name, runs in found.items()}
    medians = ", ".join(f"{name} {statistics.median(each):,.0f}" for name, each in rates.items())
    told = f"{MILLION:,} series, each seen before the time counts; events/s: {medians}; all results checked"
    mine = rates["tocsin"]
    answers = []
    for name in ("kstreams", "flink"):
        ratio = tuple(us / them for us, them in zip(mine, rates[name], strict=True))
        cost = tuple(us.cpu_us / them.cpu_us for us, them in zip(found["tocsin"], found[name], strict=True))
        answers += [
            Figure(f"series_1m_vs_{name}_ratio", "x", ratio, "", told),
            Figure(f"series_1m_cpu_vs_{name}_ratio", "x", cost, "", "processor time an event, ours against theirs"),
            Figure(
                f"series_1m_peak_rss_mb_{name}", "MB", tuple(run.peak_mb for run in found[name]), "", "process tree"
            ),
        ]
    peaks = tuple(run.peak_mb for run in found["tocsin"])
    return [*answers, Figure("series_1m_peak_rss_mb_tocsin", "MB", peaks, "", "process tree, beside the peers")]


def two(rig: Rig, measurements: int, runs: int, say: Say) -> list[Figure]:
    """Two workers: ours, Kafka Streams, Flink, interleaved."""
    load = Load(measurements, SERIES, RATE, keyed=True)
    truth = kstreams.published(rig, "bigger", load, say)
    mine: list[Together] = []
    streams: list[float] = []
    apache: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-classes-") as folder:
        kafka, other = kstreams.peer(pathlib.Path(folder, "kstreams")), flink.peer(pathlib.Path(folder, "flink"))
        for _ in range(runs):
            mine.append(two_rate(rig, load))
            say(f"bigger: two workers, tocsin {mine[-1].line()}")
            streams.append(two_of(rig, kafka, truth, measurements))
            say(f"bigger: two workers, kstreams {streams[-1]:,.0f}/s")
            apache.append(kstreams.measured(rig, other, flink.GUARANTEE, truth, measurements))
            say(f"bigger: two workers, flink {apache[-1].line()}")
    return two_figures([run.per_s for run in mine], streams, [run.per_s for run in apache])


def two_of(rig: Rig, engine: Peer, truth: Mapping[Window, Cell], events: int) -> float:
    """Events a second of two processes of Kafka Streams, of a thread each. Raises WrongOutcome, PeerEnded."""
    group = rig.name(f"{engine.name}-two")
    go = rig.directory / f"{group}-go"
    rig.topic(results_of(group))
    with contextlib.ExitStack() as stack:
        both: dict[str, Running] = {}
        for name in ("one", "two"):
            warm_results = rig.name(f"{group}-warm-results")
            rig.topic(warm_results)
            settings = {
                **kstreams.SETTINGS, "BENCH_THREADS": "1", "BENCH_GUARANTEE": GUARANTEE, "BENCH_CLIENT": name,
                "BENCH_WARM_EVENTS": str(events), "BENCH_WARM_RESULTS": warm_results, "BENCH_GO": str(go),
            }  # fmt: skip
            both[name] = stack.enter_context(joined(rig, engine, group, settings))
        await_that(
            lambda: all("warm" in run.last for run in both.values()), f"both of {group} are warm", RUN_S, SAMPLE_S
        )
        go.touch()

        def shared() -> bool:
            found = held(rig.bootstrap, group)
            return all(found.get(name) for name in both) and sum(map(len, found.values())) == PARTITIONS

        await_that(shared, f"both of {group} hold partitions", BALANCE_S, SAMPLE_S)
        samples: list[Sample] = []

        def done() -> bool:
            samples.append((time.perf_counter(), sum(run.done for run in both.values())))
            return samples[-1][1] >= events

        await_that(done, f"{group} takes {events:,} events", RUN_S, SAMPLE_S)
        kstreams.judged(rig, both["one"], truth, events)
        return middle_rate(samples, max(samples[0][1], events * WARM), events * UNTIL)


def two_figures(mine: Sequence[float], streams: Sequence[float], apache: Sequence[float]) -> list[Figure]:
    """Of all runs; ratios are of runs beside each other."""
    medians = tuple(statistics.median(each) for each in (mine, streams, apache))
    told = (
        f"two of ours {medians[0]:,.0f} events/s; two processes of Kafka Streams, a thread each, {GUARANTEE}, {medians[1]:,.0f}; "
        f"Flink with its parallelism of two {medians[2]:,.0f}; {SERIES:,} series, all results checked"
    )
    return [
        Figure(
            f"two_workers_vs_{name}_ratio",
            "x",
            tuple(us / them for us, them in zip(mine, theirs, strict=True)),
            "",
            told,
        )
        for name, theirs in (("kstreams", streams), ("flink", apache))
    ]
