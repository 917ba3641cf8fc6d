"""Golden pairs: an SLO file and a log in, every transition and change of status out, as text.

`TOCSIN_GOLDEN=write python -m pytest tests/alerts/test_golden.py` rewrites what is expected; look at the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from alerts.config import read_config
from alerts.notification import time_text
from schemas.records import AlertTransition, SloGroup, SloStatus
from tests.alerts.simulate import START_MS, Simulation, rows, times

CASES = sorted((Path(__file__).parents[1] / "golden" / "alerts").iterdir())
SPAN = re.compile(r"(-?[\d.]+)\.\.(-?[\d.]+) every ([\d.]+): (.*)")
ENTRY = re.compile(r"([\w-]+)\{(.*?)\}(?:@(-?\d+))? (\d+)/(\d+)")
IDLE = re.compile(r"idle (\d+) for (\d+)")


def told(output: AlertTransition | SloStatus, faces: dict[str, str]) -> str | None:
    """One line of the expected text; None for a status that only repeats."""
    group = ",".join(f"{key}={value}" for key, value in output.labels.items())
    name, at = f"{output.slo}{{{group}}}", f"{(output.event_ms - START_MS) / 1000:+.1f}s"
    if isinstance(output, SloStatus):
        face = f"{output.state} {output.severity}"
        if faces.get(name) == face:
            return None
        faces[name] = face
        return f"{at} status {name} {face} left {output.budget_left:.4f}"
    frozen = " frozen" if output.frozen else ""
    began = f"since {time_text(output.burn_started_ms)[11:19]}"
    return f"{at} ALERT {output.alert_id} #{output.number} {output.state} {output.severity}{frozen} {began}: {output.summary}"


def play(case: Path) -> str:
    """The transitions and changes of status of one case."""
    config = read_config(case / "slo.yaml")
    kind = config.slos[0].source_kind or 0
    simulation, lines, faces = Simulation(config, kind), [], {}
    for line in (case / "log.txt").read_text("utf-8").splitlines():
        found = []
        if match := SPAN.fullmatch(line):
            first, last, every = (round(float(match[part]) * 1000) for part in (1, 2, 3))
            for at in range(first + every, last + 1, every):
                entries = []
                for slo, labels, lag, good, total in ENTRY.findall(match[4]):
                    group = SloGroup(slo, 0, dict(pair.split("=") for pair in labels.split(",")))
                    entries.append((group, START_MS + at - 1 + int(lag or 0) * 1000, int(good), int(total)))
                found += simulation.step(rows(*entries), times({kind: START_MS + at}, START_MS + at))
        elif match := IDLE.fullmatch(line):
            at, idle = START_MS + int(match[1]) * 1000, int(match[2]) * 1000
            found = simulation.step(rows(), times({kind: at}, at + idle, {kind: idle}))
        lines += [text for output in found if (text := told(output, faces))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_log_gives_the_expected_alerts(case: Path) -> None:
    found, expected = play(case), case / "expected.txt"
    if os.environ.get("TOCSIN_GOLDEN") == "write":
        expected.write_text(found, "utf-8")
    assert found == expected.read_text("utf-8")
