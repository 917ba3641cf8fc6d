"""Figures: medians of repeated runs, their spread, a printed table and the JSON beside it.

What: a named result with its samples, its goal and what it is held against; the table; the file. Why a spread: on a
shared machine one run says little. It refuses to carry over: a figure is what was measured in this run, and those that
this run did not touch keep their own date.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import pathlib
import platform
import statistics
import subprocess
from collections.abc import Sequence
from importlib import metadata

import psutil

from local.kafka import KAFKA_VERSION

RESULTS = pathlib.Path(__file__).parent / "results"
PEERS_PYTHON = RESULTS.parent.parent / ".venv-peers" / "bin" / "python"
PEERS = (
    "quixstreams", "bytewax", "confluent-kafka", "fastavro", "opentelemetry-sdk", "statsd", "prometheus-client",
)  # fmt: skip
TELL = "import sys; from importlib.metadata import version; [print(name, version(name)) for name in sys.argv[1:]]"
PACKAGES = ("faust-streaming", "aiokafka", "confluent-kafka", "numpy", "fastavro")


@dataclasses.dataclass(frozen=True)
class Figure:
    """One named result. `value` is the median of `samples`, one a run; `goal` a comparison such as '>= 150000'."""

    name: str
    unit: str
    samples: tuple[float, ...]
    goal: str = ""
    baseline: str = ""  # what it is held against, and what one has to know to read it

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.name} has no samples")

    @property
    def value(self) -> float:
        """Median of the samples."""
        return statistics.median(self.samples)

    @property
    def reached(self) -> bool | None:
        """Whether the goal holds; None where none is set."""
        if not self.goal:
            return None
        sign, bound = self.goal.split()
        value, limit = self.value, float(bound)
        return {">=": value >= limit, "<=": value <= limit, "<": value < limit}[sign]

    def row(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "value": round(self.value, 4),
            "unit": self.unit,
            "min": round(min(self.samples), 4),
            "max": round(max(self.samples), 4),
            "runs": len(self.samples),
            "baseline": self.baseline,
            "goal": self.goal,
            "reached": self.reached,
        }


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "broker": f"Apache Kafka {KAFKA_VERSION}, one node, embedded",
        "processor": processor(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "peers": peers(),
    }


def peers(python: pathlib.Path = PEERS_PYTHON) -> dict[str, str]:
    """Versions in the environment of the peers; empty where it is absent."""
    if not python.exists():
        return {}
    told = subprocess.run([str(python), "-c", TELL, *PEERS], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in told.splitlines())


def processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    facts = pathlib.Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write(figures: Sequence[Figure], mode: str, path: pathlib.Path | None = None) -> pathlib.Path:
    """Merge the figures into the file (bench/results/latest.json) and answer its path. `mode`: full or quick."""
    path = path or RESULTS / "latest.json"
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    known |= {figure.name: figure.row() | {"mode": mode, "measured": today} for figure in figures}
    known["machine"] = machine()
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def number(value: float) -> str:
    """As people read it."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.3f}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    lines = [f"{'figure':28} {'median':>12} {'lowest':>12} {'highest':>12} {'runs':>4}  {'goal':11} unit"]
    for figure in figures:
        mark = {True: "reached", False: "MISSED", None: ""}[figure.reached]
        spread = f"{number(figure.value):>12} {number(min(figure.samples)):>12} {number(max(figure.samples)):>12}"
        lines.append(
            f"{figure.name:28} {spread} {len(figure.samples):4}  {figure.goal:11} {figure.unit} {mark}".rstrip()
        )
        if figure.baseline:
            lines.append(f"    {figure.baseline}")
    return "\n".join(lines)
