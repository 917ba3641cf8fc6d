"""A run: broker, driver, workers that are killed while it generates, its verdict, and the wrongs that it must refuse.

What: two workers; the first is told to kill itself between outputs and snapshot, then one after the other gets SIGKILL as
soon as all partitions are held again, once both. Then the driver verifies. For each wrong a fresh group counts the same data
and does that wrong, and the driver must complain of just that. Why wait for a group to hold everything: a kill that hits
nobody proves nothing. It refuses to end with fewer kills than asked for, and to begin near midnight (UTC), where the driver's one
window a key would be two.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import pathlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import Consumer, TopicPartition

from bench.rig import Worker, await_that
from bench.workloads import PARTITIONS
from local.kafka import EmbeddedBroker
from streams import crash
from tests.foreign.smoke import job
from tests.foreign.smoke.driver import Driver, driver

MODULE = "tests.foreign.smoke.worker"
HELD_S = 120.0
SETTLED_S = 90.0
QUIET_S = 5.0
NEAR_MIDNIGHT_S = 300
BOTH_AT = 2  # kills after which both die at once
CRASH = f"{job.STAGES[0]}.after_outputs:3"
#: Short waits for late events, so that a run is a matter of seconds: nothing of the driver's comes late.
SETTINGS = {"TOCSIN_LATENESS_MS": "1000,1000,1000,1000", "TOCSIN_GRACE_MS": "500"}

Say = Callable[[str], None]


class NearMidnight(RuntimeError):
    """The driver expects one day's window of each key."""


class NotProven(AssertionError):
    """The driver refused what is right, or passed what is wrong, or too few were killed."""


@dataclasses.dataclass(frozen=True)
class Order:
    """How large: keys, records of each, seconds that they are spread over, kills at least, which wrongs."""

    keys: int
    records: int
    seconds: int
    kills: int
    wrongs: tuple[str, ...]
    session_s: float


FULL = Order(20, 1_000, 60, 5, tuple(job.WRONGS), 6.0)
QUICK = Order(10, 400, 24, 3, ("dropped",), 3.0)


class Group:
    """Workers of one application."""

    def __init__(self, bootstrap: str, application: str, folder: pathlib.Path, settings: dict[str, str]) -> None:
        self._bootstrap, self._application, self._folder = bootstrap, application, folder
        self._settings = {**SETTINGS, **settings}
        self._numbers = itertools.count(1)
        self.workers: list[Worker] = []
        self.kills = 0

    def start(self, **more: str) -> None:
        """One more worker."""
        log = self._folder / f"{self._application}-{next(self._numbers)}.log"
        self.workers.append(Worker(self._bootstrap, self._application, log, {**self._settings, **more}, MODULE))

    def bury(self) -> None:
        """Count those that were killed, and start others in their place. Raises NotProven for any other end."""
        for worker in [worker for worker in self.workers if worker.process.poll() is not None]:
            if worker.process.returncode != -signal.SIGKILL:
                raise NotProven(f"a worker ended with {worker.process.returncode}: {worker.log.read_text()[-3000:]}")
            self.workers.remove(worker)
            self.kills += 1
            self.start()

    def holds_all(self) -> bool:
        """Whether every worker holds something, and together all partitions of each stage."""
        self.bury()
        try:
            held = {stage: [worker.partitions(stage) for worker in self.workers] for stage in (job.STAGES[0], "merge")}
        except RuntimeError:  # one has just ended, by the crash point that it was given
            return False
        return all(sum(map(len, found)) == PARTITIONS and all(found) for found in held.values())

    def kill(self, count: int) -> None:
        """SIGKILL to the oldest."""
        for worker in self.workers[:count]:
            worker.kill()
        self.bury()

    def end(self) -> None:
        """All of them."""
        for worker in self.workers:
            worker.kill()


@contextlib.contextmanager
def group(bootstrap: str, application: str, folder: pathlib.Path, **settings: str) -> Iterator[Group]:
    """Ended at the end."""
    found = Group(bootstrap, application, folder, settings)
    try:
        yield found
    finally:
        found.end()


def ends(bootstrap: str, names: Sequence[str]) -> int:
    """Records ever written to these topics."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "smoke.ends"})
    try:
        places = [TopicPartition(name, partition) for name in names for partition in range(PARTITIONS)]
        return sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    finally:
        consumer.close()


def await_settled(bootstrap: str, members: Group) -> None:
    """Until everything was counted and nothing more is said."""
    since, before = time.monotonic(), -1

    def settled() -> bool:
        nonlocal since, before
        members.bury()
        now = ends(bootstrap, job.OUTPUTS)
        if now != before or not ends(bootstrap, ["tagg"]) or not ends(bootstrap, ["min-suppressed"]):
            since, before = time.monotonic(), now
        return time.monotonic() - since > QUIET_S

    await_that(settled, "the job comes to rest", SETTLED_S, 0.3)


def killed_run(bootstrap: str, told: Driver, order: Order, folder: pathlib.Path, say: Say) -> int:
    """The job under kills, while the driver generates and until there were enough; how many. Raises NotProven unless the
    driver passes it."""
    timeout = {"TOCSIN_SESSION_TIMEOUT_S": str(order.session_s)}
    with group(bootstrap, "smoke", folder, **timeout) as members:
        members.start(**{crash.VARIABLE: CRASH})
        members.start()

        def over() -> bool:
            return told.generated and members.kills >= order.kills

        while not over():
            await_that(lambda: over() or members.holds_all(), "all partitions are held", HELD_S, 0.2)
            if not over():
                members.kill(2 if members.kills == BOTH_AT else 1)
                say(f"workers killed: {members.kills}")
        say(f"all data is there; workers killed: {members.kills}")
        await_settled(bootstrap, members)
        passed, lines = told.verdict()
        if not passed:
            raise NotProven("the driver refuses the job's results:\n" + "\n".join(reasons(lines)))
        say("the driver's verdict: SUCCESS, by the rules of exactly_once_v2")
        return members.kills


def wrong_run(bootstrap: str, told: Driver, wrong: str, folder: pathlib.Path, say: Say) -> None:
    """The same data, counted by a group that does a wrong. Raises NotProven unless the driver complains of just that."""
    job.made(bootstrap, PARTITIONS, keep=(job.DATA, "fk"))
    with group(bootstrap, f"smoke-{wrong}", folder, **{job.WRONG: wrong}) as members:
        members.start()
        await_settled(bootstrap, members)
    passed, lines = told.verdict(hurried=True)
    named = [line for line in lines if job.WRONGS[wrong] in line]
    if passed or not named:
        raise NotProven(f"the driver did not see a record {wrong}:\n" + "\n".join(reasons(lines)))
    say(f"control, {wrong}: refused, as it must be: {named[0].strip()}")


def reasons(lines: Sequence[str]) -> list[str]:
    """What a verdict rests on, without progress and without the events themselves."""
    begin = max((place for place, line in enumerate(lines) if line == "Result Verification"), default=0)
    return [line for line in lines[begin:] if line and not line.startswith(("\t\t", "---"))][:40]


def play(order: Order, say: Say) -> dict[str, object]:
    """All of it, and what was played. Raises NotProven, NearMidnight."""
    if time.time() % 86_400 > 86_400 - NEAR_MIDNIGHT_S:
        raise NearMidnight(NearMidnight.__doc__)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tocsin-smoke-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        with EmbeddedBroker(folder / "kafka") as broker:
            job.made(broker.bootstrap, PARTITIONS)
            with driver(broker.bootstrap, order.keys, order.records, order.seconds) as told:
                say(f"SmokeTestDriver generates {order.keys} keys of {order.records:,} records in {order.seconds} s")
                kills = killed_run(broker.bootstrap, told, order, folder, say)
                for wrong in order.wrongs:
                    wrong_run(broker.bootstrap, told, wrong, folder, say)
    size = {"keys": order.keys, "records": order.records, "kills": kills, "refused": list(order.wrongs)}
    return size | {"seconds": round(time.monotonic() - began, 1)}
