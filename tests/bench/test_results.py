"""Figures: medians, goals, the file, the table.

What: the arithmetic of results on small samples. Why: a wrong sign in a goal would be printed as a promise. It refuses
to measure anything.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.results import Figure, machine, number, peers, table, write


def test_the_value_is_the_median_of_the_runs():
    assert Figure("rate", "1/s", (5.0, 1.0, 3.0)).value == 3.0
    assert Figure("rate", "1/s", (1.0, 2.0)).value == 1.5


@pytest.mark.parametrize(
    ("samples", "goal", "reached"),
    [
        ((2.0, 3.0, 9.0), ">= 3", True),
        ((2.0, 2.9, 9.0), ">= 3", False),
        ((2.0, 3.0, 9.0), "<= 3", True),
        ((2.0, 3.1, 3.2), "<= 3", False),
        ((1.0,), "", None),
    ],
)
def test_a_goal_is_judged_by_the_median(samples, goal, reached):
    assert Figure("f", "s", samples, goal).reached is reached


def test_a_figure_without_runs_is_refused():
    with pytest.raises(ValueError, match="no samples"):
        Figure("f", "s", ())


def test_a_goal_of_another_form_is_refused():
    with pytest.raises(KeyError):
        _ = Figure("f", "s", (1.0,), "= 3").reached


def test_the_file_keeps_what_this_run_did_not_touch(tmp_path: Path):
    path = tmp_path / "results" / "latest.json"
    write([Figure("old", "s", (1.0,)), Figure("both", "s", (1.0,))], "full", path)
    write([Figure("both", "s", (2.0, 4.0), "<= 3", "beside")], "quick", path)
    found = json.loads(path.read_text())
    assert found["old"]["value"] == 1.0
    assert found["old"]["mode"] == "full"
    both = found["both"]
    assert (both["value"], both["min"], both["max"], both["runs"]) == (3.0, 2.0, 4.0, 2)
    assert (both["goal"], both["reached"], both["baseline"], both["mode"]) == ("<= 3", True, "beside", "quick")
    assert found["machine"]["cores"] >= 1


def test_the_table_says_what_was_missed():
    text = table([Figure("fast", "1/s", (9_000.0,), ">= 1000"), Figure("slow", "s", (9.0,), "<= 3", "beside it")])
    fast, slow, beside = text.splitlines()[1:]
    assert "reached" in fast
    assert "9,000" in fast
    assert "MISSED" in slow
    assert beside.strip() == "beside it"


def test_numbers_are_written_for_people():
    assert number(1_234_567.8) == "1,234,568"
    assert number(0.5) == "0.500"


def test_the_machine_names_what_was_measured_with():
    facts = machine()
    assert {"processor", "cores", "python", "broker", "packages", "peers", "system"} <= facts.keys()
    assert "numpy" in facts["packages"]


def test_the_peers_versions_are_those_of_their_environment(tmp_path: Path):
    assert peers(tmp_path / "none") == {}
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "quixstreams 1.2"; echo "bytewax 3.4"\n')
    python.chmod(0o755)
    assert peers(python) == {"quixstreams": "1.2", "bytewax": "3.4"}
