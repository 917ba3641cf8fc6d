"""The policy file and its scaling."""

from __future__ import annotations

import pytest

from alerts.policy import can_fire, parse_policy, scaled, shipped_policies, spent_when_firing
from alerts.slo import Tier

DAY = 86_400_000


def test_the_shipped_policy_is_the_workbooks() -> None:
    policy = shipped_policies()["default-30d"]
    rows = [(tier.severity, tier.long_ms // 60_000, tier.short_ms // 60_000, tier.factor) for tier in policy.tiers]
    assert rows == [("page", 60, 5, 14.4), ("page", 360, 30, 6), ("ticket", 1440, 120, 3), ("ticket", 4320, 360, 1)]
    spent = [round(spent_when_firing(tier, policy.period_ms), 6) for tier in policy.tiers]
    assert spent == [0.02, 0.05, 0.1, 0.1]


@pytest.mark.parametrize(("days", "windows_s"), [(1, [(120, 10), (720, 60)]), (7, [(840, 70), (5040, 420)])])
def test_windows_scale_with_the_period(days: int, windows_s: list[tuple[int, int]]) -> None:
    policy = scaled(shipped_policies()["default-30d"], days * DAY)
    assert [(tier.long_ms // 1000, tier.short_ms // 1000) for tier in policy.tiers[:2]] == windows_s
    assert spent_when_firing(policy.tiers[0], policy.period_ms) == pytest.approx(0.02, rel=0.01)


def test_the_shortest_window_is_one_pane() -> None:
    policy = scaled(shipped_policies()["default-30d"], DAY // 24)
    assert min(tier.short_ms for tier in policy.tiers) == 10_000


def test_a_rule_above_the_ceiling_can_never_fire() -> None:
    tier = Tier("page", 3_600_000, 300_000, 14.4)
    assert can_fire(tier, 0.05)
    assert not can_fire(tier, 1 / 14.4)
    assert not can_fire(tier, 0.1)


def test_a_bad_policy_file_names_all_its_mistakes() -> None:
    text = "name: x\nperiod: 30d\nwilson_z: 2\ncoverage_share: 0.5\nfreshness: 60s\nrules:\n"
    text += (
        "  - {severity: pager, long: 1h, short: 5m, factor: 14}\n  - {severity: page, long: 5m, short: 1h, factor: 0}\n"
    )
    policy, sheet = parse_policy(text, "x.yaml")
    assert policy is None
    assert [problem.line for problem in sheet.problems] == [7, 8]
    assert "did you mean 'page'?" in str(sheet.problems[0])
