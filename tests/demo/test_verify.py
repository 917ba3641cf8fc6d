"""Verify: it fails for each thing that may go wrong, and its last line has what was promised."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from demo.audit import Verdict
from demo.ideal import Expected
from demo.pages import Page
from demo.verify import Outcome

GOOD = Verdict(100, 5, 3, 0, 0, 0, 0, [])
EXPECTED = Expected("web", (("service", "shop"),), "page", 1_000, 20_000, 30_000)
PAGE = Page(EXPECTED, 20_500, 21_000, 40_000)
OUTCOME = Outcome(GOOD, 105, 0, 3, 5, [PAGE], [], ["fleets west"], ["fleets west"])


def test_all_is_well() -> None:
    assert OUTCOME.problems() == []
    assert json.loads(OUTCOME.line()) == {
        "published": 105,
        "aggregated": 100,
        "late": 5,
        "dead_lettered": 3,
        "lost": 0,
        "doubled": 0,
        "pages": [
            {
                "slo": "web",
                "group": {"service": "shop"},
                "severity": "page",
                "burn_started": 1_000,
                "detected": 20_500,
                "delivered": 21_000,
                "ideal_seconds": 19.0,
                "overhead_seconds": 1.0,
            }
        ],
        "resolved": True,
        "false_pages": 0,
        "unmeasured": ["fleets west"],
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": dataclasses.replace(GOOD, lost=1)}, "1 measurements lost"),
        ({"verdict": dataclasses.replace(GOOD, doubled=2)}, "2 measurements counted twice"),
        ({"verdict": dataclasses.replace(GOOD, invented=1)}, "invented"),
        ({"verdict": dataclasses.replace(GOOD, altered=1)}, "other measurements"),
        ({"verdict": dataclasses.replace(GOOD, dead_lettered=4)}, "4 dead letters, 3 sent"),
        ({"verdict": dataclasses.replace(GOOD, late=4)}, "4 too late, 5 sent"),
        ({"unknown": 1}, "unknown fate"),
        ({"false_pages": ["i9"]}, "nothing asked for"),
        ({"unmeasured": []}, "not shown as unmeasured"),
        ({"pages": []}, "no page was expected"),
        ({"pages": [dataclasses.replace(PAGE, delivered_ms=None)]}, "no page for web"),
        ({"pages": [dataclasses.replace(PAGE, resolved_ms=None)]}, "was not resolved"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_fails_the_run(change: dict[str, Any], words: str) -> None:
    problems = dataclasses.replace(OUTCOME, **change).problems()
    assert len(problems) == 1
    assert words in problems[0]
