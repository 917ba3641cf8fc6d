"""The transport's invariant on a consumer without Kafka: from the fence on, no hole that the log does not have."""

import asyncio
from collections import defaultdict

import pytest
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams import errors
from streams.chunk import BEGINS
from streams.records import Record, Records
from streams.transport import ChunkConsumer, ChunkTransport

ONE, TWO = TP("in", 0), TP("in", 1)


class Ended(Exception):
    """Stands for the end of the process."""


class Bare(ChunkConsumer):
    """A ChunkConsumer whose Faust and Kafka are a few lists."""

    restore_timeout_s = 5.0

    def __init__(self, monkeypatch=None) -> None:
        self._seeking = asyncio.Lock()
        self._next, self._holes, self._read_offset = {}, {}, {}
        self._committed_offset = defaultdict(lambda: None)
        self._acked, self._acked_index = {ONE: []}, {ONE: set()}
        self.sought: list[tuple[TP, int]] = []
        self.low, self.high = {ONE: 0, TWO: 0}, {ONE: 1_000, TWO: 1_000}
        self.assigned_now, self.told = {ONE}, []
        self.fences = {ONE: -1, TWO: -1}
        self.fetches: list[dict[TP, Records]] = []

    def assignment(self):
        return self.assigned_now

    async def seek(self, tp, offset):
        if tp not in self.assigned_now:
            raise IllegalStateError("not assigned")
        self.sought.append((tp, offset))

    async def earliest_offsets(self, *tps):
        return self.low

    async def highwaters(self, *tps):
        return self.high

    async def restore(self, topic, partition):
        return self.fences[TP(topic, partition)]

    async def assigned(self, assignment):
        self.told.append(assignment)

    def ends(self, code, reason):
        raise Ended(code, reason)

    async def fetch(self, *offsets: int, tp: TP = ONE):
        """Offsets handed over out of a fetch of `offsets`, and where the chunks say they begin."""
        self.fetches.append({tp: Records.of([Record(offset, 0, b"", None) for offset in offsets])})
        found = (await self._getmany({tp}, 1.0)).get(tp, [])
        return [r.offset for chunk in found for r in chunk.value], [dict(chunk.headers)[BEGINS] for chunk in found]


@pytest.fixture(autouse=True)
def without_kafka(monkeypatch):
    async def fetched(self, active, timeout):  # noqa: ASYNC109  # Faust's signature
        return self.fetches.pop(0)

    async def nothing(self, *unused):
        pass

    monkeypatch.setattr(driver.Consumer, "_getmany", fetched)
    monkeypatch.setattr(driver.Consumer, "perform_seek", nothing)
    monkeypatch.setattr(driver.Consumer, "on_partitions_assigned", nothing)


async def test_a_restored_partition_begins_after_its_fence():
    consumer = Bare()
    consumer.fences[ONE] = 41
    await consumer.perform_seek()
    assert (consumer.sought, consumer.told) == ([(ONE, 42)], [{("in", 0)}])
    assert await consumer.fetch(42, 43) == ([42, 43], [42])
    assert await consumer.fetch(44) == ([44], [44])


async def test_a_partition_without_state_begins_where_its_log_does():
    consumer = Bare()
    consumer.low[ONE] = 17
    await consumer.perform_seek()
    assert consumer.sought == [(ONE, 17)]
    assert await consumer.fetch(17) == ([17], [17])


async def test_nothing_is_handed_over_before_it_is_restored():
    """Also when Faust lets records flow although the seek was cancelled."""
    consumer = Bare()
    assert await consumer.fetch(0, 1) == ([], [])
    await consumer.perform_seek()
    assert await consumer.fetch(0, 1) == ([0, 1], [0])


@pytest.mark.parametrize(
    ("committed", "low", "high", "begins"),
    [(None, 0, 9, 0), (None, 4, 9, 4), (5, 0, 9, 5), (9, 0, 9, 9), (4, 4, 9, 4), (3, 4, 9, 4), (10, 2, 9, 2)],
)
async def test_a_topic_without_state_begins_where_it_was_committed_or_where_its_log_does(committed, low, high, begins):
    consumer = Bare()
    consumer.fences[ONE] = None
    consumer._committed_offset[ONE] = committed
    consumer.low[ONE], consumer.high[ONE] = low, high
    await consumer.perform_seek()
    assert consumer.sought == [(ONE, begins)]
    assert await consumer.fetch(begins, begins + 1) == ([begins, begins + 1], [begins])


async def test_what_a_fetch_lost_in_a_rebalance_is_read_again_where_there_is_no_state_either():
    """A person's command was fetched between Faust's seek and the flow, thrown away there, and never seen again."""
    consumer = Bare()
    consumer.fences[ONE], consumer._committed_offset[ONE] = None, 7
    await consumer.perform_seek()
    assert await consumer.fetch(8) == ([], [])
    assert consumer.sought[-1] == (ONE, 7)
    assert (await consumer.fetch(7, 8))[0] == [7, 8]


async def test_a_hole_is_read_again_and_then_believed():
    consumer = Bare()
    await consumer.perform_seek()
    await consumer.fetch(0, 1)
    assert await consumer.fetch(5, 6) == ([], [])
    assert consumer.sought[-1] == (ONE, 2)
    assert await consumer.fetch(2, 3, 4, 5, 6) == ([2, 3, 4, 5, 6], [2])  # it was on its way
    assert await consumer.fetch(9) == ([], [])
    assert await consumer.fetch(9) == ([9], [7])  # the log has none of 7 and 8
    assert await consumer.fetch(10) == ([10], [10])


async def test_records_that_retention_took_from_under_a_running_worker_end_it_for_a_person():
    """aiokafka resets to the earliest offset by itself, without a word."""
    consumer = Bare()
    await consumer.perform_seek()
    await consumer.fetch(0)
    consumer.low[ONE] = 500
    await consumer.fetch(500)
    with pytest.raises(Ended) as ended:
        await consumer.fetch(500)
    assert ended.value.args[0] == errors.EXIT_PERSON
    assert "499 records are gone" in ended.value.args[1]


async def test_repeated_records_are_handed_over_for_the_step_to_skip():
    consumer = Bare()
    consumer.fences[ONE] = 9
    await consumer.perform_seek()
    assert await consumer.fetch(8, 9, 10) == ([8, 9, 10], [8])
    assert await consumer.fetch(11) == ([11], [11])


@pytest.mark.parametrize(
    ("fence", "low", "high", "word"), [(9, 11, 20, "1 records are gone"), (20, 0, 20, "ends at 20")]
)
async def test_a_fence_outside_the_log_ends_the_worker_for_a_person(fence, low, high, word):
    consumer = Bare()
    consumer.fences[ONE], consumer.low[ONE], consumer.high[ONE] = fence, low, high
    with pytest.raises(Ended, match=word) as ended:
        await consumer.perform_seek()
    assert ended.value.args[0] == errors.EXIT_PERSON


@pytest.mark.parametrize(("fence", "low", "high"), [(10, 11, 20), (19, 0, 20), (-1, 11, 11)])
async def test_a_fence_at_either_end_of_the_log_is_inside(fence, low, high):
    consumer = Bare()
    consumer.fences[ONE], consumer.low[ONE], consumer.high[ONE] = fence, low, high
    await consumer.perform_seek()
    assert consumer.sought == [(ONE, max(fence + 1, low))]


async def test_two_seeks_at_once_restore_one_after_the_other():
    """Faust's fetcher calls for a seek in the middle of a rebalance, beside the recovery's own."""
    consumer = Bare()
    running = []

    async def restore(topic, partition):
        running.append(1)
        assert sum(running) == 1
        await asyncio.sleep(0.01)
        running.append(-1)
        return 5

    consumer.restore = restore
    await asyncio.gather(consumer.perform_seek(), consumer.perform_seek())
    assert consumer.sought == [(ONE, 6), (ONE, 6)]


async def test_a_partition_that_leaves_is_forgotten():
    consumer = Bare()
    consumer.assigned_now = {ONE, TWO}
    await consumer.perform_seek()
    consumer.assigned_now = {TWO}
    await consumer.perform_seek()
    assert await consumer.fetch(0) == ([], [])
    assert (await consumer.fetch(0, tp=TWO))[0] == [0]


async def test_an_empty_assignment_is_told_too():
    consumer = Bare()
    await consumer.perform_seek()
    await consumer.on_partitions_assigned(set(), 3)
    assert consumer.told[-1] == set()
    assert await consumer.fetch(0) == ([], [])


async def test_a_hole_in_a_partition_that_has_just_left_is_nobodys_fault():
    consumer = Bare()
    await consumer.perform_seek()
    consumer.assigned_now = set()
    assert await consumer.fetch(7) == ([], [])


async def test_a_partition_that_leaves_during_its_restore_is_for_faust_to_see():
    consumer = Bare()

    async def restore(topic, partition):
        consumer.assigned_now = set()
        return 5

    consumer.restore = restore
    with pytest.raises(IllegalStateError):
        await consumer.perform_seek()


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=8), max_size=12))
def test_acknowledged_chunks_commit_the_last_and_leave_nothing_behind(rounds):
    consumer, offset = Bare(), 0
    for jumps in rounds:
        for jump in jumps:
            offset += 1 + jump
            consumer._acked[ONE].append(offset)
            consumer._acked_index[ONE].add(offset)
        assert consumer._new_offset(ONE) == offset + 1
        assert consumer._new_offset(ONE) is None
        assert not consumer._acked_index[ONE]


def test_configuration_reaches_the_class_that_faust_makes():
    class Mine(ChunkTransport):
        class Consumer(ChunkConsumer):
            pass

    async def told(*unused):
        return None

    Mine.configure(told, told, 7, 8, 9.0, told)
    consumer = Mine.Consumer
    assert (consumer.max_records, consumer.max_bytes, consumer.restore_timeout_s) == (7, 8, 9.0)
    assert consumer.restore is consumer.assigned is consumer.finish is told


async def test_a_seek_is_made_in_the_thread_that_fetches():
    """aiokafka's fetcher is not safe between threads: a seek from the other one took away what a fetch was handing over."""

    class Thread:
        def __init__(self) -> None:
            self.called = []

        def seek(self, tp, offset):
            raise AssertionError("called in the wrong thread")

        async def call_thread(self, fun, *args):
            self.called.append((fun, *args))

    consumer = Bare()
    consumer._thread = Thread()
    await ChunkConsumer._seek(consumer, ONE, 7)
    assert consumer._thread.called == [(consumer._thread.seek, ONE, 7)]
