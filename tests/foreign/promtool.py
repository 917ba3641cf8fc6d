"""promtool, and how it judges made-up samples.

What: runs Debian's promtool, and reads an alert's timeline out of `promtool test rules`: asked at every evaluation to
expect nothing, it names the times at which it found the alert. A control alert that always fires keeps the reading
honest. It refuses to be taken for Prometheus' server: scraping is not part of it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

INSTALLS = "needs promtool: ops/scripts/debian-prometheus installs it (as root)"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason=INSTALLS)
CONTROL = "control"
FOUND = re.compile(r"alertname: ([\w-]+), time: (\w+),")
PART = re.compile(r"(\d+)(ms|[dhms])")
UNIT_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0}


def run(*arguments: str, standard_input: str | None = None) -> subprocess.CompletedProcess[str]:
    """One call of promtool."""
    return subprocess.run(
        ["promtool", *arguments], input=standard_input, capture_output=True, text=True, timeout=150, check=False
    )


def seconds(text: str) -> int:
    """`1h30m` in seconds."""
    return sum(int(number) * UNIT_S[unit] for number, unit in PART.findall(text))


def timelines(
    folder: Path,
    rules: str,
    alerts: Sequence[str],
    series: Mapping[str, Sequence[int | None]],
    sample_s: int,
    every_s: int,
) -> dict[str, set[int]]:
    """The times (s) at which each alert fires, evaluated every `every_s`; series are counters sampled every `sample_s`,
    None where a scrape found nothing."""
    known = json.loads(rules)
    known["groups"].append({"name": CONTROL, "rules": [{"alert": CONTROL, "expr": "vector(1)"}]})
    (folder / "rules.json").write_text(json.dumps(known), encoding="utf-8")
    length_s = sample_s * (len(next(iter(series.values()))) - 1)
    at = range(every_s, length_s + 1, every_s)
    values = {name: " ".join("_" if value is None else str(value) for value in row) for name, row in series.items()}
    case = {
        "interval": f"{sample_s}s",
        "input_series": [{"series": name, "values": row} for name, row in values.items()],
        "alert_rule_test": [
            {"eval_time": f"{time}s", "alertname": name, "exp_alerts": []} for time in at for name in (*alerts, CONTROL)
        ],
    }
    asked = {"rule_files": ["rules.json"], "evaluation_interval": f"{every_s}s", "tests": [case]}
    (folder / "tests.json").write_text(json.dumps(asked), encoding="utf-8")
    done = run("test", "rules", str(folder / "tests.json"))
    found: dict[str, set[int]] = {name: set() for name in (*alerts, CONTROL)}
    for name, time in FOUND.findall(done.stdout + done.stderr):
        found[name].add(seconds(time))
    assert found.pop(CONTROL) == set(at), f"promtool's answer is not understood:\n{(done.stdout + done.stderr)[:2000]}"
    return found
