"""Whole worlds on a virtual clock: whatever goes wrong, the books are exact and each burn pages once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.faults import STEPS, Fault, draw, shrink
from tests.simulation.runs import run

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(16)  # `make simulate` runs more
SHELL_SEEDS = range(120)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_the_books_are_exact_and_each_burn_pages_once(seed: int) -> None:
    outcome = run("platform", seed)
    assert not outcome.findings, str(outcome)


def test_whatever_goes_wrong_every_output_of_the_shell_is_true_at_its_fence() -> None:
    outcomes = [run("shell", seed) for seed in SHELL_SEEDS]
    assert not [str(outcome) for outcome in outcomes if outcome.findings]


def traces(first: int, hashes: str) -> list[str]:
    """The traces of some seeds, by a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.simulation",
            "--from",
            str(first),
            "--seeds",
            "2",
            "--jobs",
            "1",
            "--traces",
            "--only",
            "platform",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'client/src'}", "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[:2]


def test_a_seed_replays_its_run_exactly_in_any_process() -> None:
    here = [f"platform {seed} {run('platform', seed).trace}" for seed in (3, 4)]
    assert traces(3, "1") == here
    assert len({line.split()[2] for line in here}) == 2


def test_every_kind_of_end_happens() -> None:
    """The faults are real: workers die at steps, at any time, and by their own hand."""
    ends = {death for seed in range(60) for death in run("shell", seed).deaths}
    assert ends == {*STEPS, "kill", "ended"} - {"told"}  # nobody is told anything there


def test_shrinking_finds_the_fault_that_matters() -> None:
    faults = [*draw(11, 6, 5.5), Fault(1.0, "it", 0, 0.0), *draw(12, 6, 5.5)]
    assert [fault.kind for fault in shrink(faults, lambda some: any(f.kind == "it" for f in some))] == ["it"]
