"""Routes."""

from __future__ import annotations

import pytest

from alerts.route import Routes, parse_routes

GOOD = """
receivers:
  - {name: oncall, channels: [pagerduty]}
  - {name: team, channels: [webhook, log]}
  - {name: audit, channels: log}
default: [team]
group_by: [slo, region]
routes:
  - {match: ["slo=~vehicle.*"], receivers: [audit], continue: true}
  - {match: {severity: page}, receivers: [oncall, team]}
"""


def routes_of(text: str) -> Routes:
    routes, problems = parse_routes(text, "routes.yaml", ("pagerduty", "webhook", "log"))
    assert routes is not None, problems
    return routes


@pytest.mark.parametrize(
    ("labels", "channels"),
    [
        ({"severity": "page", "slo": "web"}, ("pagerduty", "webhook", "log")),
        ({"severity": "ticket", "slo": "web"}, ("webhook", "log")),
        ({"severity": "ticket", "slo": "vehicle-x"}, ("log",)),
        ({"severity": "page", "slo": "vehicle-x"}, ("log", "pagerduty", "webhook")),
    ],
)
def test_the_first_route_that_matches_decides_unless_it_goes_on(
    labels: dict[str, str], channels: tuple[str, ...]
) -> None:
    assert routes_of(GOOD).channels(labels) == channels


def test_group_by_is_the_slo_unless_given() -> None:
    assert routes_of(GOOD).group_by == ("slo", "region")
    assert Routes.plain("log").group_by == ("slo",)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("[pagerduty]", "[pagerdutty]", 3, "did you mean 'pagerduty'?"),
        ("default: [team]", "default: [teams]", 6, "did you mean 'team'?"),
        ("default: [team]", "default: []", 6, "names no receiver"),
        ("name: team", "name: oncall", 4, "defined twice"),
        ("[slo, region]", "[slo, severity]", 7, "cannot hold severity"),
        ("receivers: [audit]", "receivers: [nobody]", 9, "there is no receiver 'nobody'"),
        ("continue: true", "continue: maybe", 9, "has to be true or false"),
        ("slo=~vehicle.*", "slo~vehicle.*", 9, "is no matcher"),
        ("channels: log}", "channels: []}", 5, "has no channel"),
    ],
)
def test_a_bad_routes_file_is_refused_at_the_place_of_its_mistake(old: str, new: str, line: int, words: str) -> None:
    routes, problems = parse_routes(GOOD.replace(old, new), "routes.yaml", ("pagerduty", "webhook", "log"))
    assert routes is None
    assert any(problem.line == line and words in str(problem) for problem in problems), [str(p) for p in problems]
