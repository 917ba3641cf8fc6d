"""Whole worlds on a virtual clock: whatever goes wrong, the books are exact and each burn pages once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.faults import Fault, draw, shrink
from tests.simulation.runs import played, run

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(20)  # `make simulate` runs more


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_the_books_are_exact_and_each_burn_pages_once(seed: int) -> None:
    outcome = run(seed)
    assert not outcome.findings, str(outcome)


def traces(first: int, hashes: str) -> list[str]:
    """The traces of some seeds, by a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--from", str(first), "--seeds", "2", "--jobs", "1", "--traces"],
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
    here = [f"{seed} {run(seed).trace}" for seed in (3, 4)]
    assert traces(3, "1") == here
    assert len({line.split()[1] for line in here}) == 2


def test_every_kind_of_end_happens() -> None:
    """The faults are real: workers die at steps, at any time, and by their own hand."""
    ends = {death for seed in range(12) for death in played(seed, draw(seed, 6, 5.5)).deaths}
    assert len(ends) >= 5


def test_shrinking_finds_the_fault_that_matters() -> None:
    faults = [*draw(11, 6, 5.5), Fault(1.0, "it", 0, 0.0), *draw(12, 6, 5.5)]
    assert [fault.kind for fault in shrink(faults, lambda some: any(f.kind == "it" for f in some))] == ["it"]
