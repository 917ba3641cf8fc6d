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
    """Kills of one worker after the other: every second one at a named step, the others at any time."""
    found = []
    for number in range(count):
        worker = WORKERS[number % len(WORKERS)]
        if number % 2:
            found.append(Step("kill", worker, seconds=rng.uniform(0.0, 1.0)))
        else:
            stage, step = rng.choice(STAGES[:2]), rng.choice(STEPS)
            found.append(Step("crash", f"{worker}={stage}.{step}:{rng.randint(1, 4)}"))
    return tuple(found)


def rows(seed: int, long: bool) -> list[Row]:
    """What a run tries, in order."""
    rng = random.Random(seed)
    often, spell = (300, 20.0) if long else (2, 4.0)
    leaders = tuple(Step("kill_leader", str(rng.randrange(4))) for _ in range(6 if long else 1))
    found = [
        Row("1", "kill -9 of a worker", kills(rng, often)),
        Row("2", "kill -9 of all workers", tuple(Step("kill_all") for _ in range(10 if long else 1))),
        Row("3", "a worker frozen past its session", (Step("freeze", WORKERS[0], seconds=spell + 1),)),
        Row("4", "kill -9 of a leader, a broker frozen", (*leaders, Step("freeze_node", str(rng.randint(1, 3)), 2.0))),
        Row("19", "poison messages", (Step("poison", count=12),)),
        Row("21", "records again, shuffled", (Step("again", count=5),)),
        Row("16", "the pager hangs up, takes it and says 500, throttles", (Step("pager", seconds=2.0),)),
        Row("P6", "kill -9 between HTTP and its record", (Step("crash", f"{WORKERS[0]}=notify.before_outputs:2"),
                                                 Step("crash", f"{WORKERS[1]}=notify.after_snapshot:1"))),
        Row("5", "two of three brokers down", (Step("outage", seconds=spell, count=2),)),
        Row("26", "NaN, infinities, year 9999, NUL", (Step("hostile", count=8),)),
        Row("35", "ports that a worker opens", (Step("ports"),), pages=False),
    ]  # fmt: skip
    if long:
        found += [
            Row("6", "all brokers down", (Step("outage", seconds=60.0, count=3),)),
            Row("7", "workers and brokers restarted in turn", (Step("rolling"),)),
            Row("17", "sixty services fail at once", (Step("storm", count=60),)),
        ]
    return found
