"""The stage on fakes: order of a checkpoint, what is never acknowledged, what is kept over a rebalance, back-pressure."""

import asyncio

import pytest

from streams import errors
from streams.snapshots import Snapshot
from streams.statelog import Loaded
from tests.streams.stand_ins import Ended, FakeState, World


async def test_outputs_then_snapshot_then_acknowledgement():
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a", b"b"))
    await world.stage.checkpoint()
    kinds = [entry[:2] for entry in world.journal]
    outputs, snapshot, ack = (
        kinds.index(("sent", "out")),
        kinds.index(("sent", FakeState.topic)),
        kinds.index(("ack", 0)),
    )
    delivered = [i for i, kind in enumerate(kinds) if kind[0] == "delivered"]
    assert outputs < delivered[0] < snapshot < delivered[1] < kinds.index(("settled", 0)) < ack


@pytest.mark.parametrize("settlements", [0, 1])
async def test_a_failed_delivery_ends_the_process_and_acknowledges_nothing(settlements):
    """Of the outputs (0), of the snapshot (1): traps 3 and 4."""
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a"))
    plain = world.producer.settled

    async def failing(sent):
        if len([entry for entry in world.journal if entry == ("delivered",)]) == settlements:
            world.producer.fail = "no leader"
        await plain(sent)

    world.producer.settled = failing
    with pytest.raises(Ended) as ended:
        await world.stage.checkpoints(lambda: False)
    assert ended.value.args[0] == errors.EXIT_RESTART
    assert "no leader" in ended.value.args[1]
    assert not [entry for entry in world.journal if entry[0] == "ack"]


async def test_a_step_that_raises_ends_the_process_and_acknowledges_nothing():
    world = World()
    await world.assign(0)
    world.step(0).bad = b"poison"
    with pytest.raises(Ended) as ended:
        await world.feed(world.event(0, 0, b"a"), world.event(0, 1, b"poison"))
    assert ended.value.args[0] == errors.EXIT_RESTART
    assert not [entry for entry in world.journal if entry[0] == "ack"]


async def test_chunks_of_an_older_generation_and_of_others_partitions_are_not_applied():
    world = World()
    await world.assign(0)
    world.generation = 2
    await world.assign(0)
    await world.feed(world.event(0, 5, b"old", generation=1), world.event(1, 0, b"other's"))
    assert world.step(0).fence == -1
    await world.feed(world.event(0, 0, b"new"))
    await world.stage.checkpoint()
    assert world.step(0).fence == 0
    assert [entry for entry in world.journal if entry[0] == "ack"] == [("ack", 0, 0)]


async def test_a_chunk_that_never_came_ends_the_process():
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 5, b"a"))  # without state, any beginning will do
    with pytest.raises(Ended, match="begins at 8"):
        await world.feed(world.event(0, 9, b"b", begins=8))


async def test_a_hole_in_the_log_itself_is_no_missing_chunk():
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 5, b"a"), world.event(0, 9, b"b", begins=6))
    assert world.step(0).fence == 9


async def test_a_kept_partition_keeps_its_state_and_a_lost_one_is_closed():
    world = World()
    await world.assign(0, 1)
    await world.feed(world.event(0, 0, b"a", b"b"), world.event(1, 0, b"c"))
    lost = world.step(1)
    world.generation = 2
    assert await world.assign(0) == [1]
    assert world.state.loads == [0, 1]
    assert lost.closed
    assert set(world.stage.held) == {0}
    world.generation = 3
    assert await world.assign(0) == [1]
    assert world.state.loads == [0, 1]


@pytest.mark.parametrize("generation", [3, 0])
async def test_after_a_missed_generation_the_state_is_read_again_with_a_later_epoch(generation):
    """Somebody else may have held the partition meanwhile, or the group was made anew."""
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a", b"b"))
    stale = world.step(0)
    world.state.stored[0] = Loaded(Snapshot(0, 7, 55, 3, 1, 0, b"55"), [b"key"])
    world.generation = generation
    assert await world.assign(0) == [55]
    assert stale.closed
    assert world.stage.held[0].writer.epoch == 8


async def test_the_epoch_is_the_generation_when_that_is_later():
    world = World()
    world.generation = 12
    world.state.stored[0] = Loaded(Snapshot(0, 7, 55, 3, 1, 0, b"55"), [])
    await world.assign(0)
    assert world.stage.held[0].writer.epoch == 12


async def test_a_snapshot_that_is_not_what_it_says_stops_the_restore():
    world = World()
    world.state.stored[0] = Loaded(Snapshot(0, 7, 55, 3, 1, 0, b"54"), [])
    with pytest.raises(errors.RestoreFailed, match="fence 55"):
        await world.assign(0)


async def test_a_partition_that_left_during_a_checkpoint_is_neither_written_nor_acknowledged():
    world = World()
    await world.assign(0, 1)
    await world.feed(world.event(0, 0, b"a"), world.event(1, 0, b"b"))
    world.producer.gate.clear()
    checkpoint = asyncio.create_task(world.stage.checkpoint())
    await asyncio.sleep(0)
    world.generation = 2
    await world.assign(1)
    world.producer.gate.set()
    await checkpoint
    assert world.journal.count(("sent", FakeState.topic)) == 1
    assert ("settled", 0) not in world.journal
    assert not [entry for entry in world.journal if entry[0] == "ack"]  # fetched in generation 1


async def test_snapshots_are_as_rare_as_their_cost_wants():
    world = World(snapshot_min_s=2.0)
    await world.assign(0)
    written = []
    for first in range(8):
        await world.feed(world.event(0, first, b"a"))
        await world.stage.checkpoint()
        written.append(world.journal.count(("sent", FakeState.topic)))
        world.now += 1.0
    assert written == [1, 1, 2, 2, 3, 3, 4, 4]
    held = world.stage.held[0]
    held.snapshot_cost_s, held.snapshot_fence, held.snapshot_at = 0.2, -5, 0.0
    assert [held.due(now, world.stage.pace) for now in (3.9, 4.1)] == [False, True]
    assert [held.due(now, world.stage.pace, sharing=2) for now in (7.9, 8.1)] == [False, True]
    held.snapshot_cost_s = 60.0
    assert [held.due(now, world.stage.pace) for now in (9.9, 10.1)] == [False, True]


async def test_a_clock_set_back_does_not_stop_snapshots():
    world = World()
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a"))
    await world.stage.checkpoint()
    world.now -= 500.0
    await world.feed(world.event(0, 1, b"a"))
    await world.stage.checkpoint()
    assert world.journal.count(("sent", FakeState.topic)) == 2


async def test_nothing_new_needs_no_snapshot_unless_the_step_wants_one():
    world = World(snapshot_min_s=0.0)
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a"))
    for _ in range(3):
        world.now += 60.0
        await world.stage.checkpoint()
    assert world.journal.count(("sent", FakeState.topic)) == 1
    world.step(0).wants_snapshot = True
    await world.stage.checkpoint()
    assert world.journal.count(("sent", FakeState.topic)) == 2


async def test_caught_up_only_when_the_end_is_known_and_reached():
    world = World()
    await world.assign(0)
    for end in (None, 3, 2):
        world.ends_at[0] = end
        await world.feed(world.event(0, 0, b"a", b"b"))
        await world.stage.checkpoint()
    assert world.step(0).ticks == [(1_000_000, False), (1_000_000, False), (1_000_000, True)]


async def test_an_end_that_the_consumer_cannot_tell_is_unknown():
    world = World()
    await world.assign(0)

    def unassigned(topic, partition):
        raise AssertionError("Partition is not assigned")

    world.stage._highwater = unassigned
    assert world.stage.behind(0) is None


async def test_urgent_outputs_do_not_wait_for_the_timer():
    world = World(checkpoint_s=60.0)
    await world.assign(0)
    loop = asyncio.create_task(world.stage.checkpoints(lambda: False))
    await asyncio.sleep(0)
    await world.feed(world.event(0, 0, b"urgent"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert ("sent", "out") in world.journal
    loop.cancel()


@pytest.mark.parametrize("bound", [{"max_unsaved_records": 2}, {"max_unsaved_bytes": 10}])
async def test_reading_waits_while_too_much_is_undelivered(bound):
    world = World(checkpoint_s=0.001, **bound)
    await world.assign(0)
    world.producer.gate.clear()
    loop = asyncio.create_task(world.stage.checkpoints(lambda: False))
    feeding = asyncio.create_task(world.feed(*(world.event(0, first, b"12345", b"67890", b"x") for first in (0, 3, 6))))
    await asyncio.sleep(0.02)
    assert world.step(0).fence == 2  # the first chunk exceeds the bound, so the second waits
    world.producer.gate.set()
    async with asyncio.timeout(5):
        await feeding
    assert world.step(0).fence == 8
    loop.cancel()


async def test_what_comes_during_a_checkpoint_counts_for_the_next():
    world = World(max_unsaved_records=3)
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a", b"b"))
    world.producer.gate.clear()
    checkpoint = asyncio.create_task(world.stage.checkpoint())
    await asyncio.sleep(0)
    await world.feed(world.event(0, 2, b"c"))
    world.producer.gate.set()
    await checkpoint
    assert world.stage._unsaved == (1, 1)


async def test_what_waits_for_its_acknowledgement_holds_no_payload():
    world = World()
    await world.assign(0)
    event = world.event(0, 0, b"a" * 1_000)
    await world.feed(event)
    assert (len(event.value), event.message.value) == (0, None)


async def test_the_last_checkpoint_has_a_snapshot_and_comes_once():
    world = World(snapshot_min_s=9.0)
    await world.assign(0)
    await world.feed(world.event(0, 0, b"a"))
    await world.stage.checkpoint()
    await world.feed(world.event(0, 1, b"a"))
    await world.stage.finish()
    await world.stage.finish()
    assert world.journal.count(("sent", FakeState.topic)) == 2
    assert world.journal[-1] == ("ack", 0, 1)


async def test_the_pointer_follows_the_snapshot_before():
    world = World(snapshot_min_s=0.0)
    await world.assign(0)
    for first in range(3):
        await world.feed(world.event(0, first, b"a"))
        world.now += 1.0
        await world.stage.checkpoint()
    assert world.state.pointed == [40, 40]  # not after the first: its predecessor is another writer's
