"""Figures: medians of repeated runs, their spread, a printed table and the JSON beside it.

A figure is only ever what was measured in this run; nothing is carried over from an earlier file but figures that this
run did not touch, which keep their own date.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import statistics
from collections.abc import Sequence
from importlib import metadata

RESULTS = pathlib.Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One named result. `value` is the median of `samples`; `goal` a comparison such as '>= 150000'."""

    name: str
    unit: str
    samples: tuple[float, ...]
    goal: str = ""
    baseline: str = ""

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
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)

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
    packages = ("faust-streaming", "aiokafka", "confluent-kafka", "numpy", "fastavro")
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": platform.machine(),
        "packages": {name: metadata.version(name) for name in packages},
    }


def write(figures: Sequence[Figure], name: str = "latest") -> pathlib.Path:
    """Merge the figures into bench/results/<name>.json and answer its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known |= {figure.name: figure.row() for figure in figures}
    known["machine"] = machine()
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return path


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    lines = [f"{'figure':32} {'median':>14} {'min':>14} {'max':>14} {'runs':>4}  {'goal':16} unit"]
    for figure in figures:
        mark = {True: "reached", False: "MISSED", None: ""}[figure.reached]
        lines.append(
            f"{figure.name:32} {figure.value:14,.3f} {min(figure.samples):14,.3f} {max(figure.samples):14,.3f} "
            f"{len(figure.samples):4}  {figure.goal:16} {figure.unit} {mark}"
        )
    return "\n".join(lines)
