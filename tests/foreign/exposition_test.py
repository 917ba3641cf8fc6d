"""Our /metrics as Prometheus' own tool reads it.

What: `promtool check metrics` on the exposition of a process that has every metric of ours. Why: a name that Prometheus'
conventions refuse costs each operator a lint. It refuses to pass when the tool finds no fault in a faulty exposition.
"""

from __future__ import annotations

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from streams import selfmetrics
from streams.selfmetrics import StageMetrics
from tests.foreign.promtool import needs_promtool, run


def exposition() -> str:
    """What /metrics answers in a process that has a stage."""
    StageMetrics("foreign").applied(10, 1_200, 0.5)
    return selfmetrics.exposition().decode()


def test_everything_of_ours_is_in_it():
    ours = {family.name for family in text_string_to_metric_families(exposition()) if family.name.startswith("tocsin_")}
    assert len(ours) >= 20


@needs_promtool
def test_promtool_finds_nothing_to_complain_of():
    done = run("check", "metrics", standard_input=exposition())
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_complains_of_a_faulty_one():
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Gauge("something_total", "a gauge that claims to be a counter", registry=registry).set(1)
    done = run("check", "metrics", standard_input=prometheus_client.generate_latest(registry).decode())
    assert done.returncode != 0
