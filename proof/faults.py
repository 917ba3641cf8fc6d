"""Faults: what goes wrong in which row, as data out of a seed.

What: each row of the matrix as a list of steps; the same seed gives the same list. Why: a run that fails can be played
again, and cut down. It refuses to act: `proof.field` does, and `NOT_DONE` says which rows nothing tries yet.
"""

from __future__ import annotations

import dataclasses
import random

from streams.crash import STEPS

WORKERS = ("worker-1", "worker-2")
GATEWAY = "gateway"
STAGES = ("aggregate", "merge", "notify")
NODES = 3
ROUNDS = 11  # of the long form
#: Rows of the short form that take their time: each is played by one seed of three, so that they take about as long.
SHARES = (
    frozenset({"6", "8", "14", "16"}),
    frozenset({"5", "10", "12", "25", "P6"}),
    frozenset({"3", "7", "11", "15", "20", "24", "P5"}),
)

#: Rows that this proof does not try, with the reason, by number in the matrix.
NOT_DONE: dict[str, str] = {
    "9": "a client that dies, and its spool: tests/client",
    "13": "a full disk under the spool: tests/client",
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
    lasting: bool = False  # and fails on until its page is there; else it fails for a moment, and is well afterwards
    gated: bool = False  # and sends over HTTP


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


def ends_of_a_gateway(rng: random.Random, times: int) -> tuple[Step, ...]:
    """Each step is three deaths: while requests wait for Kafka, then at each named step, when so many have come by it."""
    at = [(rng.randint(8, 20), rng.randint(8, 20)) for _ in range(times)]
    return tuple(Step("gateway", f"after_ack:{after},before_ack:{before}") for after, before in at)


def round_of(rng: random.Random, steps: int, alls: int, spell: float, controller: bool) -> list[Row]:
    """The rows that a run tries more than once. `steps`: of row 1; `alls`: how often all workers are killed; `controller`:
    row 4 kills the one that decides, instead of one that leads a partition."""
    crash = rng.choice(("before_outputs:3", "after_outputs:3", "after_snapshot:2", "in_snapshot:2"))
    return [
        Row("1", "kill -9 of a worker", kills(rng, steps)),
        Row("2", "kill -9 of all workers", (Step("kill_all"),) * alls),
        Row("3", "a worker frozen past its session", (Step("freeze", rng.choice(WORKERS), seconds=spell),)),
        Row("4", "kill -9 of a leader or the controller, a broker frozen", (
            Step("kill_controller") if controller else Step("kill_leader", str(rng.randrange(4))),
            Step("freeze_node", str(rng.randint(1, 3)), 2.0))),
        Row("P6", "kill -9 between HTTP and its record", (Step("crash", f"{rng.choice(WORKERS)}=notify.{crash}"),)),
    ]  # fmt: skip


def once(rng: random.Random, long: bool) -> list[Row]:
    """The rows that a run tries once. The flood comes last: after it new series are counted together."""
    return [
        Row("19", "poison messages", (Step("poison"),)),
        Row("21", "records again, shuffled, late, of yesterday", (
            Step("again", count=5), Step("stale", count=4_000 if long else 1_000))),
        Row("16", "the pager is late, hangs up, takes it and says 500, throttles", (Step("pager"),)),
        Row("P5", "the pager is dead, the fallback is told", (Step("pager_dead", seconds=6.0),)),
        Row("5", "two of three brokers down", (Step("outage", seconds=20.0 if long else 3.0, count=2),), lasting=True),
        Row("20", "the schema registry down", (Step("registry", rng.choice(WORKERS), seconds=10.0 if long else 2.0),)),
        Row("24", "requests that are too large", (Step("oversized", count=5 if long else 1),), gated=True),
        Row("26", "NaN, infinities, year 9999, NUL, no UTF-8", (Step("hostile"),)),
        Row("23", "batches that unfold to a gigabyte", (Step("bombs"),)),
        Row("17", "many services fail at once, and many hosts of one", (
            Step("storm", count=60 if long else 20), Step("hosts", count=100))),
        Row("35", "ports that a worker opens", (Step("ports"),), pages=False),
        Row("22", "more series than a worker keeps", (Step("flood", count=50_000 if long else 6_000),)),
    ]  # fmt: skip


def slow(rng: random.Random, long: bool) -> list[Row]:
    """The rows that are played out one step after the other, or need a process of their own."""
    worker = rng.choice(WORKERS)
    ways = ("up", "down", "both") if long else (rng.choice(("up", "down", "both")),)
    clocks = ("-7200", "-7200@6") if long else (rng.choice(("-7200", "7200", "-7200@4", "7200@4")),)
    return [
        Row("8", "kill -9 of the gateway, answers lost", ends_of_a_gateway(rng, 5 if long else 1), gated=True),
        Row("25", "clients that are slow on purpose", (Step("slowloris", count=1_000 if long else 300),), gated=True),
        Row("6", "all brokers down", (Step("outage", seconds=300.0 if long else 3.0, count=3),), lasting=True),
        Row("10", "a worker cut off, one way or both", tuple(Step("cut", f"{worker}={way}", 6.0) for way in ways)),
        Row("7", "workers and brokers restarted in turn", (Step("rolling", count=3 if long else 1),)),
        Row("11", "a source behind a slow link that breaks",
            (Step("slow_link", seconds=30.0), Step("tunnel", seconds=30.0, count=2)) if long
            else (Step("slow_link", seconds=4.0),)),
        Row("12", "a broker's disk is full", (Step("full_disk", str(rng.randrange(4))),)),
        Row("15", "a clock two hours wrong, or set while it runs",
            (*(Step("skew", f"{rng.choice(WORKERS)}={clock}", 8.0 if long else 5.0) for clock in clocks),
             Step("skew", f"{GATEWAY}=-7200", 5.0 if long else 1.0))),
        Row("14", "no more files, no more memory, a fifth of a processor",
            tuple(Step("starve", f"{worker}={what}", 10.0 if long else 2.0)
                  for what in ("files", "memory", "processor"))),
    ]  # fmt: skip


def rows(seed: int, long: bool, everything: bool = False) -> list[Row]:
    """What a run tries, in order. `everything`: also those rows of the short form that are another seed's."""
    rng = random.Random(seed)
    if not long:
        found = [*round_of(rng, 2, 1, 5.0, controller=seed % 2 == 0), *slow(rng, long), *once(rng, long)]
        others = frozenset[str]().union(*SHARES) - SHARES[seed % len(SHARES)]
        return [row for row in found if everything or row.number not in others]
    single, found = [*slow(rng, long), *once(rng, long)], []
    for number in range(ROUNDS):
        found += (
            round_of(rng, 6, 8, 5.0, controller=number % 2 == 1)
            + single[number * len(single) // ROUNDS : (number + 1) * len(single) // ROUNDS]
        )
    return found
