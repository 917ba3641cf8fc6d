"""Our own metrics: names with one prefix, labels with a bound, and nothing left of a partition that went away."""

import re
from pathlib import Path

import yaml
from prometheus_client import REGISTRY

from streams import selfmetrics
from streams.selfmetrics import StageMetrics

ROOT = Path(__file__).resolve().parents[2]
BOUNDED = {
    "stage",
    "clock",
    "direction",
    "source_partition",
    "partition",
    "topic",
    "source_kind",
    "fate",
    "reason",
    "what",
    "severity",
    "le",
    "outcome",
    "channel",
}


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_a_stage_counts_what_it_applied():
    metrics = StageMetrics("counting")
    metrics.applied(10, 1_200, 0.5)
    metrics.applied(5, 300, 0.25)
    assert value("tocsin_input_records_total", stage="counting") == 15
    assert value("tocsin_input_bytes_total", stage="counting") == 1_500
    assert value("tocsin_apply_seconds_total", stage="counting") == 0.75


def test_a_partition_that_left_leaves_no_gauge():
    metrics = StageMetrics("leaving")
    metrics.lag(3, 17)
    metrics.lag(3, None)
    assert value("tocsin_lag_records", stage="leaving", partition="3") == 17
    metrics.left(3)
    assert value("tocsin_lag_records", stage="leaving", partition="3") is None
    metrics.left(3)
    selfmetrics.unaccounted("merge", 3, 2)
    selfmetrics.unaccounted("notify", 3, 1)
    selfmetrics.forget("merge", 3)
    assert value("tocsin_unaccounted_events", stage="merge", partition="3") is None
    assert value("tocsin_unaccounted_events", stage="notify", partition="3") == 1
    selfmetrics.forget("notify", 3)
    selfmetrics.forget("aggregate", 99)


def test_every_name_has_our_prefix_and_every_label_a_bound():
    ours = [family for family in REGISTRY.collect() if family.name.startswith("tocsin")]
    ours = [family for family in ours if not family.name.startswith("tocsin_gateway")]  # has a test of its own
    assert len(ours) > 15
    for family in ours:
        assert family.documentation
        for sample in family.samples:
            assert set(sample.labels) <= BOUNDED, family.name


def test_only_this_file_knows_the_metrics_library():
    others = [path for path in (ROOT / "streams").glob("*.py") if path.name != "selfmetrics.py"]
    assert not [
        path.name for path in others if re.search(r"^(import|from) prometheus_client", path.read_text(), re.MULTILINE)
    ]


def test_the_rules_for_operators_name_metrics_that_there_are():
    rules = yaml.safe_load((ROOT / "ops" / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"tocsin_\w+", rule["expr"])}
    assert "tocsin_unaccounted_events" in named
    assert named <= {metric.name for metric in REGISTRY.collect()}
