"""Recovery: how long after a kill -9 a new window of the dead one's partitions comes, ours beside stock Faust and Kafka Streams.

What: two processes share four partitions, 100,000 series and a steady load that the slowest of them can take; one is killed
half a second before a window begins or is due. For ours that window is the first that becomes final (bench/takeover.py);
the others tell windows as they grow, so for them it is one that has begun since the kill. Each with its own session timeout,
and each with ours. Everything else is as in the comparisons of rates. Afterwards every window's count is held against the
topic, read again: what a kill cost is told beside the time. It refuses to time a kill that took nothing away.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from confluent_kafka import Consumer, TopicPartition

from bench import kstreams, takeover
from bench.generator import Generator, Pace, generator
from bench.peer import FAUST, Peer, Running, joined, results_of
from bench.peers import work
from bench.results import Figure
from bench.rig import Rig, await_that
from bench.truth import Window
from bench.workloads import PARTITIONS, key_of
from streams import topics

SERIES = 100_000
LOAD = 1_000  # events a second: stock Faust has to keep up with it, on half a machine
LENGTH_S = 900.0
BEFORE_S = 0.5
BALANCE_S, WAIT_S = 240.0, 240.0
QUIET_S = 12.0  # longer than a commit, a round and a poll
SETTLE_S = 120.0
WINDOW_S = work.WINDOW_MS / 1000
RUNS_A_KILL = 3  # of ours for each of theirs: one of theirs takes two minutes

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Engine:
    """One way to run a peer. `settings`: besides what every peer is told; `own_s`: its session timeout by default."""

    name: str
    told: str
    peer: Peer
    own_s: float
    settings: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Recovered:
    """One kill: seconds to the new window; measurements lost, counted again, and in all, over all windows."""

    seconds: float
    lost: int
    doubled: int
    events: int

    def line(self) -> str:
        """In words."""
        return (
            f"{self.seconds:.2f} s; of {self.events:,} measurements {self.lost:,} lost, {self.doubled:,} counted again"
        )


def engines(classes: pathlib.Path) -> list[Engine]:
    """Who is compared."""
    streams = kstreams.peer(classes)
    found = [Engine("faust", "stock Faust", FAUST, 60.0, {})]
    for guarantee, (name, _) in kstreams.GUARANTEES.items():
        told = {**kstreams.SETTINGS, "BENCH_GUARANTEE": guarantee}
        found.append(Engine(name, f"Kafka Streams, {guarantee}", streams, 45.0, told))
    return found


def held(bootstrap: str, group: str) -> dict[str, set[int]]:
    """Client of each member (its first words, where an engine adds its own) -> partitions of telemetry that it holds."""
    client = topics.admin(bootstrap)  # must outlive the answer
    described = client.describe_consumer_groups([group])[group].result(30)
    found: dict[str, set[int]] = {}
    for member in described.members:
        client = member.client_id.partition("-StreamThread")[0]
        mine = {place.partition for place in member.assignment.topic_partitions if place.topic == topics.TELEMETRY}
        found.setdefault(client, set()).update(mine)
    return found


def next_window_s(now_s: float) -> float:
    """When the next window begins, at least `BEFORE_S` from now. Seconds since epoch."""
    return ((now_s + BEFORE_S) // WINDOW_S + 1) * WINDOW_S


class Watch:
    """The results topic, read as it grows: counts of all windows, and the newest window of each partition."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.counts: dict[Window, int] = {}
        self._newest = dict.fromkeys(range(PARTITIONS), 0)
        self._partition = {key_of(number): number % PARTITIONS for number in range(SERIES)}
        reads = {"isolation.level": "read_committed", "enable.auto.commit": False, "fetch.wait.max.ms": 10}
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, **reads})
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])

    def read(self, seconds: float) -> int:
        """Take in what is there within so many seconds; how many results."""
        messages = self._consumer.consume(10_000, seconds)
        for message in messages:
            key, value = message.key(), message.value()
            if message.error() is None and key is not None and value is not None:
                self._take(str(key, "utf-8"), json.loads(value))
        return len(messages)

    def _take(self, key: str, result: Mapping[str, int]) -> None:
        partition, start = self._partition[key], result["start_ms"]
        self.counts[key, start] = result["count"]
        self._newest[partition] = max(self._newest[partition], start)

    def reached(self, partitions: Iterable[int], start_ms: int) -> bool:
        """Whether each of these partitions has told of a window that begins then or later, as far as was read."""
        return all(self._newest[partition] >= start_ms for partition in partitions)

    def settle(self) -> None:
        """Read until nothing has come for a while."""
        while self.read(QUIET_S):
            pass

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def kill_time(rig: Rig, engine: Engine, session_s: float, say: Say) -> Recovered:
    """Two processes, one killed. Raises TimeoutError, PeerEnded."""
    rig.fresh(keep_telemetry=False)
    group = rig.name(f"recovery-{engine.name}")
    rig.topic(results_of(group))
    own = {**engine.settings} if session_s == engine.own_s else {**engine.settings, "BENCH_SESSION_S": f"{session_s:g}"}
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(generator(rig, Pace(LOAD, LENGTH_S, SERIES, warm_up=True, keyed=True)))
        runs = {}
        for name in ("one", "two"):
            runs[name] = stack.enter_context(joined(rig, engine.peer, group, {**own, "BENCH_CLIENT": name}))
        watch = Watch(rig.bootstrap, results_of(group))
        stack.callback(watch.close)
        child.go()
        await_balance(rig, group, runs, watch)
        say(f"recovery: {engine.told}: both work")
        seconds = killed(rig, group, runs, watch)
        lost, doubled, events = account(rig, child, watch)
    return Recovered(seconds, lost, doubled, events)


def await_balance(rig: Rig, group: str, runs: Mapping[str, Running], watch: Watch) -> None:
    """Until each holds something and windows of now are told."""

    def balanced() -> bool:
        _ = [run.last for run in runs.values()]  # raises when one ended
        found = held(rig.bootstrap, group)
        return all(found.get(name) for name in runs) and sum(map(len, found.values())) == PARTITIONS

    await_that(balanced, f"both of {group} hold partitions", BALANCE_S, 0.5)
    now_ms = time.time_ns() // 1_000_000

    def current() -> bool:
        watch.read(0.1)
        return watch.reached(range(PARTITIONS), now_ms)

    await_that(current, f"{group} tells windows of now", BALANCE_S, 0.0)


def killed(rig: Rig, group: str, runs: Mapping[str, Running], watch: Watch) -> float:
    """Kill one, and wait. Seconds."""
    victim, other = runs["one"], runs["two"]
    begins = next_window_s(time.time())
    mine = held(rig.bootstrap, group)["one"]
    while (left := begins - BEFORE_S - time.time()) > 0:
        watch.read(min(left, 0.1))
    at_s = time.time()
    victim.stop()

    def new() -> bool:
        _ = other.last  # raises when it ended
        watch.read(0.02)
        return any(watch.reached([partition], round(begins * 1000)) for partition in mine)

    await_that(new, f"new windows of partitions {sorted(mine)} come", WAIT_S, 0.0)
    return time.time() - at_s


def account(rig: Rig, child: Generator, watch: Watch) -> tuple[int, int, int]:
    """(lost, counted again, all) measurements, when the load has ended and nothing more is told."""
    facts = child.stop()
    events = facts.published + child.warming
    truth = counted(raw(rig.bootstrap, events))
    deadline, lost, doubled = time.monotonic() + SETTLE_S, events, 0
    while time.monotonic() < deadline:
        watch.settle()
        lost, doubled = differences(truth, watch.counts)
        if not lost:
            break
    return lost, doubled, events


def raw(bootstrap: str, events: int) -> Iterator[bytes]:
    """The values of the telemetry topic, read again."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "recovery-truth", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topics.TELEMETRY, partition, 0) for partition in range(PARTITIONS)])
        left, deadline = events, time.monotonic() + SETTLE_S
        while left and time.monotonic() < deadline:
            for message in consumer.consume(min(left, 10_000), 1.0):
                value = message.value()
                if message.error() is None and value is not None:
                    left -= 1
                    yield value
        if left:
            raise TimeoutError(f"{left:,} of {events:,} events are not in the topic")
    finally:
        consumer.close()


def counted(values: Iterator[bytes]) -> Counter[Window]:
    """Measurements of each series and window."""
    found: Counter[Window] = Counter()
    for value in values:
        event = work.decoded(value)
        found[event["key"], event["time_ms"] // work.WINDOW_MS * work.WINDOW_MS] += 1
    return found


def differences(truth: Mapping[Window, int], told: Mapping[Window, int]) -> tuple[int, int]:
    """(lost, counted again): they do not cancel out between windows."""
    places = truth.keys() | told.keys()
    wrong = [told.get(place, 0) - truth.get(place, 0) for place in places]
    return -sum(less for less in wrong if less < 0), sum(more for more in wrong if more > 0)


def compare(rig: Rig, runs: int, say: Say) -> list[Figure]:
    """Ours and the others, each by its defaults and with our session timeout."""
    ours_s = takeover.session_timeout_s()
    pace = Pace(LOAD, LENGTH_S, SERIES, warm_up=True)
    mine = takeover.kill_times(rig, pace, runs, say)
    answers = [
        Figure("kill_to_rollup_beside_s", "s", tuple(mine), "", f"ours: session timeout {ours_s:g} s; {setting()}")
    ]
    with tempfile.TemporaryDirectory(prefix="tocsin-classes-") as folder:
        for engine in engines(pathlib.Path(folder)):
            for name, session_s in ((engine.name, engine.own_s), (f"{engine.name}_equal", ours_s)):
                found = []
                for _ in range(max(1, runs // RUNS_A_KILL)):
                    found.append(kill_time(rig, engine, session_s, say))
                    say(f"recovery: {engine.told}, session timeout {session_s:g} s: {found[-1].line()}")
                answers += figures(name, engine, session_s, found)
    return answers


def setting() -> str:
    """What all share."""
    return f"two processes, {SERIES:,} series, {LOAD:,} events/s, kill -9 of one"


def figures(name: str, engine: Engine, session_s: float, found: Sequence[Recovered]) -> list[Figure]:
    """Of one engine with one session timeout."""
    whose = "its own default" if session_s == engine.own_s else "as ours"
    wrong = [100 * (each.lost + each.doubled) / each.events for each in found]
    lost, doubled = (statistics.median(each) for each in zip(*((f.lost, f.doubled) for f in found), strict=True))
    told = f"{engine.told}: session timeout {session_s:g} s, {whose}; commit each second; {setting()}"
    cost = f"{engine.told}: measurements that the kill cost; {lost:,.0f} lost, {doubled:,.0f} counted again (medians)"
    return [
        Figure(f"kill_to_rollup_{name}_s", "s", tuple(each.seconds for each in found), "", told),
        Figure(f"kill_cost_{name}_percent", "%", tuple(wrong), "", cost),
    ]
