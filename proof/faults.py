"""Faults: what goes wrong in which row, as data out of a seed.

What: each row of the matrix as a list of steps; the same seed gives the same list. Why: a run that fails can be played
again, and cut down. It refuses to act: `proof.field` does, and `NOT_DONE` says which rows nothing tries yet.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping

from streams.crash import STEPS

WORKERS = ("worker-1", "worker-2")
STAGES = ("aggregate", "merge", "notify")
NODES = 3
ROUNDS = 18  # of the long form

#: Rows that this proof does not try, with the reason, by number in the matrix.
NOT_DONE: Mapping[str, str] = {
    "8": "kill -9 of the gateway: not applicable yet, there is no gateway",
    "10": "one-way partitions: a frozen broker (row 4) stands in; nothing is cut on the wire yet",
    "11": "slow and lossy links: not tried yet",
    "12": "broker disk full: not tried yet",
    "14": "memory, processor and descriptor limits: not tried yet",
    "15": "clock skew: tried by the simulation, not on processes",
    "20": "schema registry down: not tried here; the worker reads bundled schemas",
    "22": "cardinality bomb: not tried here; tests/rollups/test_series.py has the overflow",
    "23": "compression bombs: not tried here; tests/traps/workers_test.py has each codec",
    "24": "giant HTTP requests: not applicable yet, there is no gateway",
    "25": "slowloris: not applicable yet, there is no gateway",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that goes wrong. `target`: a worker, a node, a crash point; `seconds`: for how long; `count`: how many."""

    action: str
    target: str = ""
    seconds: float = 0.0
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A row of the matrix."""

    number: str
    name: str
    steps: tuple[Step, ...]
    pages: bool = True  # a service begins to fail in the middle of it


def kills(rng: random.Random, count: int) -> tuple[Step, ...]:
    """Kills of one worker after the other, so many steps: every second one at a named step (after which it has died
    twice), the others at any time."""
    found = []
    for number in range(count):
        worker = WORKERS[number % len(WORKERS)]
        if number % 2:
            found.append(Step("kill", worker, seconds=rng.uniform(0.0, 1.0)))
        else:
            stage, step = rng.choice(STAGES[:2]), rng.choice(STEPS)
            found.append(Step("crash", f"{worker}={stage}.{step}:{rng.randint(1, 9)}"))
    return tuple(found)


def round_of(rng: random.Random, steps: int, leaders: int, spell: float) -> list[Row]:
    """The rows that a run tries more than once."""
    crash = rng.choice(("before_outputs:3", "after_outputs:3", "after_snapshot:2", "in_snapshot:2"))
    return [
        Row("1", "kill -9 of a worker", kills(rng, steps)),
        Row("2", "kill -9 of all workers", (Step("kill_all"),)),
        Row("3", "a worker frozen past its session", (Step("freeze", rng.choice(WORKERS), seconds=spell),)),
        Row("4", "kill -9 of a leader, a broker frozen", (
            *(Step("kill_leader", str(rng.randrange(4))) for _ in range(leaders)),
            Step("freeze_node", str(rng.randint(1, 3)), 2.0))),
        Row("P6", "kill -9 between HTTP and its record", (Step("crash", f"{rng.choice(WORKERS)}=notify.{crash}"),)),
    ]  # fmt: skip


def rows(seed: int, long: bool) -> list[Row]:
    """What a run tries, in order."""
    rng = random.Random(seed)
    once = [
        Row("19", "poison messages", (Step("poison", count=12),)),
        Row("21", "records again, shuffled", (Step("again", count=5),)),
        Row("16", "the pager hangs up, takes it and says 500, throttles", (Step("pager"),)),
        Row("5", "two of three brokers down", (Step("outage", seconds=20.0 if long else 4.0, count=2),)),
        Row("26", "NaN, infinities, year 9999, NUL", (Step("hostile", count=8),)),
        Row("17", "many services fail at once", (Step("storm", count=60 if long else 20),)),
        Row("35", "ports that a worker opens", (Step("ports"),), pages=False),
    ]
    if not long:
        return round_of(rng, 2, 1, 5.0) + once
    once += [
        Row("6", "all brokers down", (Step("outage", seconds=60.0, count=3),)),
        Row("7", "workers and brokers restarted in turn", (Step("rolling"),)),
    ]
    found: list[Row] = []
    for number in range(ROUNDS):
        found += round_of(rng, 10, 1, 6.0) + once[number :: ROUNDS // 2]
    return found
