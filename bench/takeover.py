"""Takeover: how long after a worker is killed the first new rollup of a partition that it held comes.

What: two workers share four partitions and 100,000 series under a steady load; one is killed with SIGKILL half a second
before windows are due to become final, so that the wait for a window is no part of the time. Until those windows'
rollups come from a partition that the dead one held, the group must notice (session timeout), the other restore the
state from Kafka, read again what the state lacks, and catch up. Why windows that were open at the kill: what was final
before may be written again by the replay, and proves nothing. It refuses a run in which a measurement is lost or
counted twice by then.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from bench.generator import Generator, Pace, generator
from bench.outcome import Rollups, WrongOutcome, settle
from bench.rig import Rig, Worker, await_that
from bench.workloads import PARTITIONS
from rollups.limits import PANE_MS, Lateness
from schemas.records import SourceKind
from streams.settings import Settings

BEFORE_S = 0.5
WAIT_S = 60.0
BALANCE_S = 90.0


def kill_times(rig: Rig, pace: Pace, kills: int, say: Callable[[str], None]) -> list[float]:
    """Seconds from each kill to the first new rollup. Raises WrongOutcome."""
    rig.fresh(keep_telemetry=False)
    application = rig.name("group")
    with contextlib.ExitStack() as stack:
        reader = Rollups(rig.bootstrap)
        stack.callback(reader.close)
        child = stack.enter_context(generator(rig, pace))
        workers = [stack.enter_context(rig.worker(application)) for _ in range(2)]
        child.go()
        found = []
        for _ in range(kills):
            await_balance(workers, reader)
            victim = workers.pop(0)
            found.append(kill_time(victim, workers, reader))
            say(f"takeover: {found[-1]:.2f} s")
            workers.append(stack.enter_context(rig.worker(application)))
        _check(rig, child, workers, reader)
    return found


def await_balance(workers: list[Worker], reader: Rollups) -> None:
    """Until each holds some partitions of the merge, all are held, and windows have become final since."""

    def balanced() -> bool:
        reader.read(0.2)
        held = [worker.partitions("merge") for worker in workers]
        return all(held) and sum(map(len, held)) == PARTITIONS

    await_that(balanced, "both workers hold partitions", BALANCE_S)
    known = reader.newest_start()

    def two_more() -> bool:
        reader.read(0.5)
        return reader.newest_start() >= known + 2 * PANE_MS

    await_that(two_more, "windows become final with two workers", BALANCE_S)


def due_s(now_s: float) -> float:
    """When the next windows are due to become final, at least `BEFORE_S` from now. Seconds since epoch."""
    bounds = Lateness()
    wait_s = (bounds.lateness_ms[SourceKind.WEB] + bounds.grace_ms) / 1000
    pane_s = PANE_MS / 1000
    return ((now_s + BEFORE_S - wait_s) // pane_s + 1) * pane_s + wait_s


def kill_time(victim: Worker, others: list[Worker], reader: Rollups) -> float:
    """Kill it, and wait. Seconds."""
    due = due_s(time.time())
    held = victim.partitions("merge")
    while (left := due - BEFORE_S - time.time()) > 0:
        reader.read(min(left, 0.2))
    open_ms = reader.newest_start() + PANE_MS  # the next window: nobody's rollups say that it is final
    place = len(reader.arrived)
    killed_ms = time.time_ns() // 1_000_000
    victim.kill()

    def new() -> bool:
        reader.read(0.05)
        for worker in others:
            worker.process.poll()
        return any(batch.partition in held and batch.start_ms >= open_ms for batch in reader.arrived[place:])

    await_that(new, f"rollups of partitions {sorted(held)} come again", WAIT_S, 0.0)
    at_ms = next(b.at_ms for b in reader.arrived[place:] if b.partition in held and b.start_ms >= open_ms)
    return (at_ms - killed_ms) / 1000


def _check(rig: Rig, child: Generator, workers: list[Worker], reader: Rollups) -> None:
    """Nothing lost, nothing counted twice, after all kills."""
    await_balance(workers, reader)
    facts = child.stop()
    metrics = settle(rig.bootstrap, workers, facts.published + child.warming, reader)
    if metrics["tocsin_unaccounted_events"]:
        raise WrongOutcome(f"{metrics['tocsin_unaccounted_events']:.0f} measurements unaccounted for")


def session_timeout_s() -> float:
    """The product's own default, which bounds the time from below."""
    return float(Settings.model_fields["session_timeout_s"].default)
