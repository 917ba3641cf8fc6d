"""Prometheus and Alertmanager as the benchmark starts them.

What: their configurations as their own checkers read them, and what is in them. Why: a pair that waits longer than it was
told would flatter us. It refuses to start them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import prometheus
from tests.foreign.promtool import needs_promtool, run


@pytest.mark.parametrize("pace", [prometheus.DEFAULT, prometheus.FASTEST])
def test_both_are_told_the_intervals(pace: prometheus.Pace):
    told = json.loads(prometheus.server_file(pace, 1, 2, "rules.json"))["global"]
    assert told["scrape_interval"] == f"{pace.scrape_s}s"
    assert told["evaluation_interval"] == f"{pace.evaluate_s}s"
    assert int(told["scrape_timeout"].removesuffix("s")) <= pace.scrape_s
    route = json.loads(prometheus.alertmanager_file(pace, "http://127.0.0.1:1/", ["route"]))["route"]
    assert route["group_wait"] == f"{pace.group_wait_s}s"
    assert route["group_by"] == ["alertname", "route"]


def test_the_defaults_are_those_of_the_packages():
    file = Path("/etc/prometheus/prometheus.yml")
    if not file.exists():
        pytest.skip(prometheus.INSTALLS)
    text = file.read_text(encoding="utf-8")
    assert f"scrape_interval:     {prometheus.DEFAULT.scrape_s}s" in text
    assert f"evaluation_interval: {prometheus.DEFAULT.evaluate_s}s" in text


@needs_promtool
def test_promtool_takes_the_server_file(tmp_path: Path):
    (tmp_path / "rules.json").write_text('{"groups": []}', encoding="utf-8")
    file = tmp_path / "server.json"
    file.write_text(prometheus.server_file(prometheus.FASTEST, 1, 2, str(tmp_path / "rules.json")), encoding="utf-8")
    done = run("check", "config", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
