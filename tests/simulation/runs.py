"""Runs by seed: play one, judge it, shrink what fails, and say how to see it again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog

from tests.simulation import oracle, scenario
from tests.simulation.faults import Fault, draw, shrink
from tests.simulation.platform import PlatformWorld
from tests.simulation.shell import ShellWorld
from tests.simulation.shell import judge as judge_shell
from tests.simulation.world import World

FAULTS_MAX = 6
Play = Callable[[int, Sequence[Fault]], tuple[World, list[str]]]


class Outcome(NamedTuple):
    """A run that was judged."""

    tier: str
    seed: int
    trace: str
    faults: list[Fault]
    deaths: list[str]
    findings: list[str]

    def __str__(self) -> str:
        lines = [
            f"{self.tier}, seed {self.seed}: {len(self.findings)} findings",
            *(f"  {finding[:600]}" for finding in self.findings),
        ]
        lines += ["  smallest list of faults that does it:", *(f"    {fault}" for fault in self.faults)]
        return "\n".join([*lines, f'  replay: make simulate ARGS="--only {self.tier} --from {self.seed} --seeds 1"'])


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No log: workers that die say so at length."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


def played(seed: int, faults: Sequence[Fault]) -> PlatformWorld:
    """One run of the platform."""
    with silence():
        return PlatformWorld(seed, faults, seed % scenario.SCENARIOS).run()


def platform(seed: int, faults: Sequence[Fault]) -> tuple[World, list[str]]:
    """One run of the platform, and what is wrong with it."""
    with silence():
        world = PlatformWorld(seed, faults, seed % scenario.SCENARIOS).run()
        return world, oracle.judge(world)


def shell(seed: int, faults: Sequence[Fault]) -> tuple[World, list[str]]:
    """One run of the shell, and what is wrong with it."""
    with silence():
        world = ShellWorld(seed, faults).run()
        return world, judge_shell(world)


#: Tier -> (how a seed is played, until when things go wrong, how many seeds in a hundred)
TIERS: Mapping[str, tuple[Play, float, int]] = {"platform": (platform, 5.5, 4), "shell": (shell, 3.0, 96)}


def faults_of(tier: str, seed: int) -> list[Fault]:
    """The faults of a seed."""
    return draw(seed, FAULTS_MAX, TIERS[tier][1])


def run(tier: str, seed: int) -> Outcome:
    """The run of a seed; where it fails, with as few of its faults as still fail."""
    play, faults = TIERS[tier][0], faults_of(tier, seed)
    world, findings = play(seed, faults)
    if findings:
        faults = shrink(faults, lambda fewer: bool(play(seed, fewer)[1]))
        findings = play(seed, faults)[1] or findings
    return Outcome(tier, seed, world.trace, faults, world.deaths, findings)


def run_pair(what: tuple[str, int]) -> Outcome:
    """For a pool of processes: `run` of a tier and a seed."""
    return run(*what)
