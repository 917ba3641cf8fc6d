"""Flink beside ours: the same topic and work, in Java, on Flink's embedded cluster.

What: our worker, then bench/peers/flink with a parallelism of two, again and again; warmed, timed, watched and checked as
Kafka Streams is. Why the embedded cluster: Flink's distribution is no Maven package, its parts are; job, task executors and
checkpoints are the same code. It refuses the time of a run whose results are not those of bench/truth.py.
"""

from __future__ import annotations

import pathlib
import tempfile

from bench import jvm
from bench.comparison import RATE, SERIES, Run, Say, ours
from bench.kstreams import SHARED, THREADS, beside, measured, published
from bench.peer import Peer
from bench.results import Figure
from bench.rig import ROOT, Rig
from bench.workloads import Load

FLINK, CONNECTOR = "2.2.0", "5.0.0-2.2"
SOURCES = (SHARED, ROOT / "bench" / "peers" / "flink")
WANTED = (
    (f"flink-clients-{FLINK}", "tree", f"org.apache.flink:flink-clients:{FLINK}"),
    (f"flink-connector-base-{FLINK}", "tree", f"org.apache.flink:flink-connector-base:{FLINK}"),
    (f"flink-connector-kafka-{CONNECTOR}", "tree", f"org.apache.flink:flink-connector-kafka:{CONNECTOR}"),
    jvm.AVRO,
    jvm.LOGGING,
)
#: Java's own packages that Flink looks into: it is made for older ones.
OPENED = ("java.lang", "java.util", "java.time")
HEAP_MB = 1_536
GUARANTEE = "checkpoints, results at least once"


def peer(classes: pathlib.Path, heap_mb: int = HEAP_MB) -> Peer:
    """The program, compiled into `classes`."""
    path = jvm.compiled(SOURCES, WANTED, classes)
    program, *words = jvm.command(path, heap_mb, "FlinkWindows", opened=OPENED)
    return Peer("flink", tuple(words), program=program)


def compare(rig: Rig, measurements: int, runs: int, say: Say) -> list[Figure]:
    """Ours and Flink, interleaved."""
    load = Load(measurements, SERIES, RATE, keyed=True)
    truth = published(rig, "flink", load, say)
    mine: list[Run] = []
    theirs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-classes-") as folder:
        engine = peer(pathlib.Path(folder))
        for _ in range(runs):
            mine.append(ours(rig, load))
            say(f"flink: tocsin {mine[-1].line()}")
            theirs.append(measured(rig, engine, GUARANTEE, truth, measurements))
            say(f"flink: {theirs[-1].line()}")
    return figures(mine, theirs)


def figures(mine: list[Run], theirs: list[Run]) -> list[Figure]:
    """Of all runs."""
    told = (
        f"Flink {FLINK}, embedded cluster, parallelism {THREADS}, state on the heap, a checkpoint each second, warmed by a pass "
        f"through the topic"
    )
    return beside("flink", "", mine, theirs, told)
