"""OpenSLO files: each bad file holds one mistake, marked in its line by `# wrong: <what the problem says>`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerts.config import load, read_config
from alerts.slo import Outcomes, Ratio, Threshold
from schemas.problem import Problem
from tests.alerts.simulate import config_of, slo_text

BAD = sorted((Path(__file__).parent / "bad_slos").glob("*.yaml"))
EXAMPLES = Path(__file__).parents[2] / "examples" / "slos"
MARK = re.compile(r"# wrong: (.*)$")


def problems_of(text: str) -> list[Problem]:
    config, problems = load({"test.yaml": text})
    assert (config is None) == bool(problems)
    return problems


def test_there_is_a_bad_file_for_each_mistake_we_know() -> None:
    assert len(BAD) >= 50


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_at_the_place_of_its_mistake(path: Path) -> None:
    text = path.read_text("utf-8")
    found = problems_of(text)
    marked = [(number, match[1]) for number, line in enumerate(text.splitlines(), 1) if (match := MARK.search(line))]
    assert marked
    assert [problem.line for problem in found] == [line for line, _ in marked], [str(problem) for problem in found]
    for problem, (_, words) in zip(found, marked, strict=True):
        assert words in problem.what
        assert problem.column >= 1
        assert problem.hint, problem


def test_a_hint_names_the_nearest_known_word() -> None:
    assert "did you mean 'service'?" in str(problems_of(slo_text().replace("service:", "servcie:"))[-1])


def test_problems_name_their_own_file_when_a_reference_is_bad() -> None:
    sli = "apiVersion: openslo/v1\nkind: SLI\nmetadata: {name: x}\nspec: {}\n"
    slo = re.sub(r"  indicator:.*", "  indicatorRef: x\n", slo_text(), flags=re.DOTALL)
    _, problems = load({"a.yaml": slo, "b.yaml": sli})
    assert [(problem.file, problem.line) for problem in problems] == [("b.yaml", 4)]


def test_the_examples_are_good_and_say_what_they_say() -> None:
    slos = {slo.name: slo for slo in read_config(EXAMPLES).slos}
    web = slos["web-availability"]
    assert [(t.severity, t.long_ms, t.short_ms, t.factor) for t in web.policy.tiers] == [
        ("page", 120_000, 10_000, 14.4),
        ("page", 720_000, 60_000, 6),
        ("ticket", 2_880_000, 240_000, 3),
        ("ticket", 8_640_000, 720_000, 1),
    ]
    assert isinstance(web.indicator, Outcomes)
    assert (web.group_by, web.source_kind) == (("service",), 0)
    assert isinstance(slos["desktop-headroom"].indicator, Threshold)
    assert isinstance(slos["checkout-availability"].indicator, Ratio)
    assert slos["vehicle-signals-by-version"].group_by == ("version",)
    assert slos["vehicle-signals-by-fleet"].policy.slack_ms == 20_000
    assert [objective.allowed for objective in slos["checkout-latency"].objectives] == [0.05, 0.001]


def test_own_alert_policies_take_the_place_of_the_default_and_keep_its_statistics() -> None:
    desktop = next(slo for slo in read_config(EXAMPLES).slos if slo.name == "desktop-headroom")
    (tier,) = desktop.policy.tiers
    assert (tier.severity, tier.long_ms, tier.short_ms, tier.factor) == ("ticket", 600_000, 60_000, 6)
    assert (desktop.policy.z, desktop.policy.coverage_share) == (2.326, 0.5)


def test_the_hash_follows_the_meaning_and_not_the_text() -> None:
    plain = config_of(slo_text()).hash
    assert config_of("# a comment\n" + slo_text().replace("0.999", "'0.999'")).hash == plain
    assert config_of(slo_text(target="0.9991")).hash != plain
    assert config_of(slo_text(), slo_text(name="b")).hash == config_of(slo_text(name="b"), slo_text()).hash


def test_allowed_is_exact_in_decimal() -> None:
    assert config_of(slo_text(target="0.999")).slos[0].objectives[0].allowed == 0.001


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    (problem,) = problems_of("x" * (1 << 21))
    assert "larger than" in problem.what
