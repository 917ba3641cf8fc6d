"""The traps of Faust that show without a broker: each is sprung on the shell, and must not close.

Numbers are those of docs/decisions/0001-traps.md, which says for each what the danger is and where it is met.
"""

import ast
import asyncio
import gc
import sys
import types
from pathlib import Path

import pytest

from streams import errors
from streams.settings import Settings
from streams.snapshots import Snapshot
from streams.statelog import Loaded
from tests.streams.stand_ins import Ended, World
from tests.streams.test_transport import (
    ONE,
    Bare,
    without_kafka,  # noqa: F401  # a fixture that is used by itself: no Kafka under the bare consumer
)
from tests.streams.test_transport import Ended as TransportEnded

ROOT = Path(__file__).resolve().parents[2]


def acks(world: World) -> list:
    return [entry for entry in world.journal if entry[0] == "ack"]


async def test_trap_03_a_flush_that_gives_up_after_a_tenth_of_a_second():
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a"))
    world.producer.gate.clear()
    checkpoint = asyncio.create_task(world.stage.checkpoint())
    await asyncio.sleep(0.3)
    assert not checkpoint.done()
    assert not acks(world)
    world.producer.gate.set()
    await checkpoint
    assert acks(world) == [("ack", 0, 0)]


async def test_trap_04_a_failed_send_that_is_only_logged():
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a"))
    world.producer.fail = "message too large"
    with pytest.raises(Ended) as ended:
        await world.stage.checkpoints(lambda: False)
    assert ended.value.args[0] == errors.EXIT_RESTART
    assert not acks(world)


async def test_trap_05_a_worker_alive_but_parked():
    """Asked of aiokafka itself, with a coordinator that has failed as a denied group makes it fail."""
    from aiokafka.consumer.group_coordinator import GroupCoordinator
    from aiokafka.errors import GroupAuthorizationFailedError

    from streams.watchdog import Watchdog

    coordinator = object.__new__(GroupCoordinator)
    loop = asyncio.get_running_loop()
    coordinator._coordination_task, coordinator._error_consumed_fut = loop.create_future(), loop.create_future()
    coordinator._pending_exception = GroupAuthorizationFailedError("group")
    inner = types.SimpleNamespace(_coordinator=coordinator)
    consumer = types.SimpleNamespace(_thread=types.SimpleNamespace(_consumer=inner))
    dog = Watchdog(types.SimpleNamespace(consumer=consumer, should_stop=False), [], 30.0)
    assert "GroupAuthorizationFailed" in dog.consumer_error()


async def test_trap_06_open_windows_after_a_restart_get_their_ticks():
    """What a restored step holds open is closed by ticks, which come whether or not a record does."""
    world = World()
    world.state.stored[0] = Loaded(Snapshot(0, 1, 41, 1, 1, 0, b"41"), [])
    await world.assign(0)
    world.ends_at[0] = 42
    for _ in range(3):
        world.now += 0.5
        await world.stage.checkpoint()
    assert world.step(0).ticks == [(1_000_500, True), (1_001_000, True), (1_001_500, True)]


async def test_trap_07_wall_clock_expiry_in_a_replay():
    """While records wait, a tick says so: a step must not take the clock for event time then."""
    world = World()
    world.ends_at[0] = 1_000_000
    await world.assign(0)
    for first in range(5):
        await world.feed(world.event(0, first, b"a"))
        world.now += 3_600
        await world.stage.checkpoint()
    assert not any(caught_up for _, caught_up in world.step(0).ticks)


async def test_trap_09_the_gap_that_includes_an_unprocessed_offset():
    consumer = Bare()
    consumer._acked[ONE] += [9, 14]
    await consumer._add_gap(ONE, 15, 20)  # Faust takes these for acknowledged
    assert consumer._new_offset(ONE) == 15


async def test_trap_13_state_of_a_partition_that_left_and_came_back():
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a", b"b", b"c"))
    world.generation = 2
    await world.assign()  # another worker has it now, and applies to 77
    world.state.stored[0] = Loaded(Snapshot(0, 2, 77, 5, 1, 0, b"77"), [])
    world.generation = 3
    assert await world.assign(0) == [77]


@pytest.mark.parametrize("fault", ["raises", "hangs", "lies"])
async def test_trap_14_a_recovery_that_is_stuck_or_swallowed(fault):
    consumer = Bare()
    consumer.restore_timeout_s = 0.05

    async def restore(topic, partition):
        if fault == "hangs":
            await asyncio.sleep(60)
        if fault == "raises":
            raise KeyError("corrupt")
        world = World()
        world.state.stored[0] = Loaded(Snapshot(0, 1, 55, 1, 1, 0, b"54"), [])
        return (await world.assign(0))[0]

    consumer.restore = restore
    with pytest.raises(TransportEnded) as ended:
        await consumer.perform_seek()
    assert ended.value.args[0] == errors.EXIT_RESTART
    assert not consumer.sought


async def test_trap_17_memory_of_unknown_origin():
    """A day of chunks leaves nothing behind in the stage and in the acknowledgements."""
    world, consumer = World(max_unsaved_records=10**9), Bare()
    await world.assign(0)

    async def some(first: int, chunks: int) -> None:
        for chunk in range(chunks):
            offset = first + chunk * 10
            await world.feed(world.event(0, offset, *[b"x" * 100] * 10))
            consumer._acked[ONE].append(offset)
            consumer._acked_index[ONE].add(offset)
            if chunk % 20 == 0:
                world.now += 1
                await world.stage.checkpoint()
                consumer._new_offset(ONE)
                world.journal.clear()
        await world.stage.checkpoint()
        consumer._new_offset(ONE)
        world.journal.clear()
        world.step(0).ticks.clear()

    await some(0, 100)
    gc.collect()
    before = len(gc.get_objects())
    await some(1_000, 400)
    gc.collect()
    assert len(gc.get_objects()) - before < 100
    assert world.stage.held[0].unsaved == []
    assert world.stage._unsaved == (0, 0)
    assert not consumer._acked[ONE]


# -- what the wiring of the worker must say; the traps that a setting would open


@pytest.fixture(scope="module")
def conf():
    from streams.app import faust_app

    return faust_app(Settings(bootstrap="127.0.0.1:9", application="traps")).conf


def test_trap_10_exactly_once_is_not_used(conf):
    assert conf.processing_guarantee.value == "at_least_once"


def test_trap_11_no_threaded_producer(conf):
    assert conf.producer_threaded is False


def test_trap_15_no_rocksdb(conf):
    assert str(conf.store).startswith("memory:")
    assert conf.table_standby_replicas == 0
    assert "rocksdict" not in sys.modules
    assert "rocksdb" not in sys.modules


def test_trap_16_faust_decodes_nothing():
    """A value that Faust can't decode is acknowledged and gone; so every channel of ours is raw."""
    made = [
        node
        for path in (ROOT / "streams").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("app.topic")
    ]
    assert made
    for call in made:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given["key_serializer"] == given["value_serializer"] == "'raw'"


@pytest.mark.parametrize("word", ["Table", "GlobalTable", "SetTable", "tumbling", "hopping", "take", "noack_take"])
def test_traps_06_07_08_13_no_tables_and_no_batches_of_fausts(word):
    for path in (ROOT / "streams").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value).split(".")[-1]
                assert not (node.func.attr == word and owner in {"app", "stream"}), path
