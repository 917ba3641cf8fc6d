"""The traps that need real workers on a real broker: killed, frozen, poisoned, bombed. Equality, never tolerance."""

import itertools
import re
import signal
import threading
import time

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streams.errors import EXIT_PERSON, EXIT_RESTART
from tests.streams.broker import committed, fill, truth
from tests.streams.workers import PARTITIONS, Fleet, wait_for

KILLS = 6
BATCH = 400


@pytest.fixture
def fleet(bootstrap, unique, tmp_path):
    made = []

    def make(**facts) -> Fleet:
        made.append(Fleet(bootstrap, unique, tmp_path, **facts).__enter__())
        return made[-1]

    yield make
    for one in made:
        one.__exit__(None, None, None)


def last_offset_acknowledged(fleet: Fleet) -> dict[int, int]:
    return committed(fleet.bootstrap, fleet.facts.application, fleet.facts.topic, PARTITIONS)


@pytest.mark.timeout(120)
def test_trap_02_state_ahead_of_the_commit_under_kill_9(fleet):
    """Two workers, one killed each other second while records come in; every record is counted, and once."""
    world = fleet()
    running = [world.start(), world.start()]
    stop, numbers = threading.Event(), itertools.count()

    def feed() -> None:
        while not stop.is_set():
            world.produce(next(numbers) * BATCH, BATCH)
            time.sleep(0.05)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        wait_for("first outputs", lambda: bool(world.truth()))
        for kill in range(KILLS):
            running[kill % 2].kill()
            running[kill % 2].wait()
            time.sleep(0.3)
            running[kill % 2] = world.start()
            before = sum(pair[0] for pair in world.truth().values())
            time.sleep(2.0)
            if kill % 2:  # let it come to work sometimes, and kill it in mid-restore at others
                wait_for("progress", lambda: sum(pair[0] for pair in world.truth().values()) > before)  # noqa: B023
    finally:
        stop.set()
        feeder.join()
    wait_for("the last record", world.exact)
    assert sum(pair[0] for pair in world.expected.values()) > 20 * BATCH


def test_trap_01_exception_acks(fleet):
    """A record that the step can't take ends the worker; nothing at or after it is ever committed."""
    world = fleet(bad=1_002)
    world.produce(0, 1_200)
    assert world.ended(world.start()) == EXIT_RESTART
    assert "take 1002" in world.log()
    assert world.ended(world.start()) == EXIT_RESTART
    assert last_offset_acknowledged(world)[1_002 % PARTITIONS] <= 1_002 // PARTITIONS
    world.start(bad=-1)  # repaired
    wait_for("all records", world.exact)


def test_trap_02_crash_between_outputs_and_snapshot(fleet):
    world = fleet()
    world.produce(0, 2_000)
    assert world.ended(world.start("tiny.after_outputs:1")) == -signal.SIGKILL
    assert world.exact()  # the outputs had left, the state had not
    world.produce(2_000, 2_000)
    assert world.ended(world.start("tiny.after_snapshot:2")) == -signal.SIGKILL
    worker = world.start()
    wait_for("all records", world.exact)
    world.stop(worker)


def test_trap_08_acks_dropped_at_a_rebalance_and_a_planned_restart(fleet):
    """Joining and leaving replays nothing that is kept, and a stopped worker leaves state and commit at the end."""
    world = fleet(snapshot_min_s=1.9)
    world.produce(0, 4_000)
    first = world.start()
    wait_for("the first part", world.exact)
    second = world.start()
    wait_for("the second worker", lambda: "fence=" in world.log(1))
    world.produce(4_000, 4_000)
    wait_for("the second part", world.exact)
    assert (world.stop(second), world.stop(first)) == (0, 0)
    assert set(last_offset_acknowledged(world).values()) == {2_000}
    third = world.start()
    wait_for("the restart", lambda: world.log().count("behind") >= PARTITIONS)
    assert set(re.findall(r"(?:behind|fence)=-?\d+", world.log())) == {"behind=0", "fence=1999"}
    world.stop(third)


def test_trap_12_zombie_overwrites_newer_state(fleet):
    """A frozen worker loses its partitions, wakes up and writes on; then everybody dies and one must take over."""
    world = fleet()
    first, second = world.start(), world.start()
    world.produce(0, 2_000)
    wait_for("the first part", world.exact)
    first.send_signal(signal.SIGSTOP)
    world.produce(2_000, 2_000)
    wait_for("the takeover", world.exact)
    first.send_signal(signal.SIGCONT)
    world.produce(4_000, 2_000)
    wait_for("the return", world.exact)
    second.kill()
    world.produce(6_000, 2_000)
    wait_for("the second takeover", world.exact)
    first.kill()
    world.start()
    world.produce(8_000, 400)
    wait_for("the restart", world.exact)


def test_trap_14_a_fence_below_the_log_is_for_a_person(fleet, bootstrap):
    world = fleet()
    world.produce(0, 400)
    worker = world.start()
    wait_for("the first part", world.exact)
    world.stop(worker)
    world.produce(400, 400)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (gone,) = admin.delete_records([TopicPartition(world.facts.topic, 0, 150)]).values()
    gone.result(30)
    assert world.ended(world.start()) == EXIT_PERSON
    assert "50 records are gone" in world.log()
    assert last_offset_acknowledged(world)[0] == 100


def test_trap_16_bad_record_drops_without_trace(fleet, bootstrap):
    """A bomb of each codec among good records: noted, stepped over, and nothing else is missing."""
    world = fleet(unfold=4 << 20)
    codecs = ("gzip", "snappy", "lz4", "zstd")
    for partition, codec in enumerate(codecs):
        world.produce(partition * 400, 400)
        bomb = [(partition, bytes(6 << 20))]
        fill(bootstrap, world.facts.topic, bomb, **{"compression.type": codec, "message.max.bytes": 8 << 20})
    world.produce(1_600, 400)
    world.start()
    wait_for("all good records", world.exact)
    found = truth(bootstrap, world.facts.output, PARTITIONS)
    assert {partition: row["refused"] for partition, row in found.items()} == dict.fromkeys(range(PARTITIONS), 1)


def test_more_workers_than_partitions(fleet):
    """The one without partitions is ready, since it may have to take over; and it does."""
    world = fleet()
    world.produce(0, 400)
    workers = [world.start() for _ in range(PARTITIONS + 1)]
    wait_for("all records", world.exact)
    for worker in workers[:PARTITIONS]:
        worker.kill()
    world.produce(400, 400)
    wait_for("the takeover by whoever is left", world.exact)


@pytest.mark.timeout(170)
def test_the_broker_itself_is_killed(embedded_broker, unique, tmp_path):
    """Workers may live on or end; whoever is there afterwards counts every record, and once."""
    with Fleet(embedded_broker.bootstrap, unique, tmp_path) as world:
        running = [world.start(), world.start()]
        world.produce(0, 2_000)
        wait_for("the first part", world.exact)
        embedded_broker.kill()
        time.sleep(1.0)
        embedded_broker.start()
        world.produce(2_000, 2_000)

        def exact_with_restarts() -> bool:
            for index, worker in enumerate(running):  # what an orchestrator does
                if worker.poll() is not None:
                    assert worker.returncode == EXIT_RESTART
                    running[index] = world.start()
            return world.exact()

        wait_for("the second part", exact_with_restarts)
