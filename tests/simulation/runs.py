"""Runs by seed: play one, judge it, shrink what fails, and say how to see it again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from tests.simulation import scenario
from tests.simulation.faults import Fault, draw, shrink
from tests.simulation.oracle import judge
from tests.simulation.world import World

FAULTS_MAX = 6
FAULTS_UNTIL_S = 5.5


class Outcome(NamedTuple):
    """A run that was judged."""

    seed: int
    trace: str
    faults: list[Fault]
    deaths: list[str]
    findings: list[str]

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {len(self.findings)} findings",
            *(f"  {finding[:600]}" for finding in self.findings),
        ]
        lines += ["  smallest list of faults that does it:", *(f"    {fault}" for fault in self.faults)]
        return "\n".join([*lines, f'  replay: make simulate ARGS="--from {self.seed} --seeds 1"'])


def played(seed: int, faults: Sequence[Fault]) -> World:
    """One run, silent."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    try:
        return World(seed, faults, seed % scenario.SCENARIOS).run()
    finally:
        structlog.reset_defaults()


def run(seed: int) -> Outcome:
    """The run of a seed; where it fails, with as few of its faults as still fail."""
    faults = draw(seed, FAULTS_MAX, FAULTS_UNTIL_S)
    world = played(seed, faults)
    findings = judge(world)
    if findings:
        faults = shrink(faults, lambda fewer: bool(judge(played(seed, fewer))))
        findings = judge(played(seed, faults)) or findings
    return Outcome(seed, world.trace, faults, world.deaths, findings)
