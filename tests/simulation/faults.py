"""Faults: what may go wrong in a run, drawn from its seed, and how a list of them is shrunk."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

#: Steps at which a worker can be killed; `Worker.reached` is called at each.
STEPS = (
    "applied",  # a chunk is applied, its outputs are not sent
    "sending",  # between two outputs of a checkpoint
    "between",  # outputs are acknowledged, the snapshot is not sent
    "torn",  # between two parts of a snapshot
    "written",  # the snapshot is acknowledged, the chunk is not
    "told",  # the receiver took a request, the worker has not heard so
    "restored",  # a state is loaded, reading has not begun
)
KINDS = (
    *STEPS,
    "kill",  # at any time
    "freeze",  # SIGSTOP for longer than the session: a zombie wakes later
    "stop",  # SIGTERM: last checkpoints, then the group is left
    "join",  # one more worker
    "rebalance",
    "slow",  # acknowledgements take long
    "lost",  # acknowledgements do not come: the producer fails after its time
    "twice",  # the broker has a record twice
    "refused",  # the broker refuses a record
    "jump",  # the wall clock of a machine is set, by up to two hours, and stays so: whoever is started there has it too
    "dark",  # one source partition cannot be read for a while, and the other can
    "outage",  # receivers answer 503, or not at all, taking some requests nevertheless
    "compact",  # the state topics are compacted
)


class Fault(NamedTuple):
    """One thing that goes wrong. `worker` and `size` mean what the kind makes of them."""

    at_s: float
    kind: str
    worker: int
    size: float


def draw(seed: int, most: int, until_s: float) -> list[Fault]:
    """The faults of a seed, in the order of time."""
    dice = random.Random(f"faults {seed}")
    found = [
        Fault(round(dice.uniform(0.2, until_s), 3), dice.choice(KINDS), dice.randrange(3), round(dice.random(), 3))
        for _ in range(dice.randint(1, most))
    ]
    return sorted(found)


def shrink(faults: list[Fault], fails: Callable[[list[Fault]], bool]) -> list[Fault]:
    """A short list that still fails: parts are left out, halves first, as long as what is left fails."""
    size = max(1, len(faults) // 2)
    while True:
        at = 0
        while at < len(faults):
            fewer = faults[:at] + faults[at + size :]
            if fails(fewer):
                faults = fewer
            else:
                at += size
        if size == 1:
            return faults
        size = max(1, size // 2)
