"""Rules for Prometheus: every tier of the policy is in them, with its numbers.

What: the rule file of one SLO as data, and what promtool says of it. Why: a rule that got lost would make the peer look
slow. It refuses to judge samples: tests/foreign/verdicts_test.py does.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench.prometheus_rules import Counters, burns, rule_file
from tests.alerts.simulate import config_of, slo_text
from tests.foreign.promtool import needs_promtool, run

COUNTERS = Counters("bad_total", "requests_total")


def made(group_by: str = "[]") -> str:
    (slo,) = config_of(slo_text(group_by=group_by)).slos
    return rule_file(slo, COUNTERS)


def test_each_severity_is_an_alert_with_all_its_tiers():
    (group,) = json.loads(made())["groups"]
    page, ticket = group["rules"]
    assert (page["labels"], ticket["labels"]) == ({"severity": "page"}, {"severity": "ticket"})
    for window in ("3600000ms", "300000ms", "21600000ms", "1800000ms"):
        assert page["expr"].count(f"[{window}]") == 2
    assert "(14.4 * 0.001)" in page["expr"]
    assert "(6 * 0.001)" in page["expr"]


def test_groups_are_kept_apart():
    (slo,) = config_of(slo_text(group_by="[route]")).slos
    assert burns(slo.policy.tiers[0], 0.001, COUNTERS, slo.group_by).count("by (route)") == 4


@needs_promtool
def test_promtool_takes_them(tmp_path: Path):
    file = tmp_path / "rules.json"
    file.write_text(made("[route]"), encoding="utf-8")
    done = run("check", "rules", str(file))
    assert done.returncode == 0, done.stderr
    assert "2 rules found" in done.stdout
