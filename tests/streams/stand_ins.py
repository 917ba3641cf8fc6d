"""Stand-ins around a stage: a step, a producer, a state log, Faust's events; and `World`, which joins them."""

import asyncio
import dataclasses

from streams.chunk import BEGINS
from streams.errors import DeliveryFailed
from streams.producer import Outgoing, Sent
from streams.records import Record, Records
from streams.stage import Pace, Stage
from streams.statelog import Loaded


class Ended(Exception):
    """Stands for the end of the process."""


def ends(code: int, reason: str) -> None:
    raise Ended(code, reason)


class FakeStep:
    def __init__(self, partition: int, journal: list) -> None:
        self.partition, self.journal = partition, journal
        self.fence, self.urgent, self.wants_snapshot = -1, False, False
        self.ticks, self.closed, self.bad = [], False, None
        self._pending = []

    def apply(self, records):
        if any(record.value == self.bad for record in records):
            raise ValueError("bad record")
        self._pending += [record.offset for record in records if record.offset > self.fence]
        self.fence = records[-1].offset
        self.urgent = any(record.value == b"urgent" for record in records)

    def tick(self, now_ms, caught_up):
        self.ticks.append((now_ms, caught_up))

    def drain(self):
        drained, self._pending = self._pending, []
        return [Outgoing("out", b"k", b"%d" % offset, self.partition) for offset in drained]

    def settled(self):
        self.journal.append(("settled", self.partition))

    def snapshot(self):
        return b"%d" % self.fence

    def restore(self, data):
        self.fence = int(data)

    def close(self):
        self.closed = True


class FakeProducer:
    """Journals what is sent; `gate` holds deliveries back, `fail` refuses them."""

    def __init__(self, journal: list) -> None:
        self.journal, self.fail = journal, ""
        self.gate = asyncio.Event()
        self.gate.set()

    def send(self, records, sent=None):
        sent = sent or Sent()
        for record in records:
            self.journal.append(("sent", record.topic))
            sent.first_offset = 40
        return sent

    async def settled(self, sent):
        await self.gate.wait()
        if self.fail:
            raise DeliveryFailed(reason=self.fail)
        if sent.first_offset >= 0:  # not for an empty set
            self.journal.append(("delivered",))


class FakeState:
    topic = "tocsin.state.fake"

    def __init__(self) -> None:
        self.stored: dict[int, Loaded] = {}
        self.loads: list[int] = []
        self.pointed: list[int] = []

    async def load(self, partition):
        self.loads.append(partition)
        return self.stored.get(partition, Loaded(None, []))

    def point(self, partition, offset):
        self.pointed.append(offset)

    def close(self):
        pass


@dataclasses.dataclass
class Message:
    partition: int
    offset: int
    generation_id: int
    headers: tuple = ()
    value: object = b"payload"


class Event:
    def __init__(self, journal, partition, first, values, generation=1, begins=None):
        self.value = Records.of([Record(first + i, 1_000, value, None) for i, value in enumerate(values)])
        headers = ((BEGINS, first if begins is None else begins),)
        self.message = Message(partition, self.value[-1].offset, generation, headers)
        self._journal = journal

    def ack(self):
        self._journal.append(("ack", self.message.partition, self.message.offset))
        return True


class World:
    """One stage and everything around it."""

    def __init__(self, **pace) -> None:
        self.journal: list = []
        self.generation, self.now, self.ends_at = 1, 1_000.0, {}
        self.producer, self.state = FakeProducer(self.journal), FakeState()
        defaults = {"checkpoint_s": 0.01, "snapshot_min_s": 5.0, "snapshot_max_s": 10.0, "snapshot_share": 0.05}
        self.stage = Stage(
            "fake",
            "in",
            lambda partition: FakeStep(partition, self.journal),
            self.state,
            self.producer,
            Pace(**{**defaults, "max_unsaved_records": 100, **pace}),
            lambda: self.generation,
            lambda topic, partition: self.ends_at.get(partition),
            lambda: self.now,
        )
        self.stage.ends = ends

    async def assign(self, *partitions: int) -> list[int]:
        self.stage.keep_only(partitions)
        return [await self.stage.restore(partition) for partition in partitions]

    def event(self, partition, first, *values, **facts) -> Event:
        return Event(self.journal, partition, first, values, **{"generation": self.generation, **facts})

    async def feed(self, *events: Event) -> None:
        async def source():
            for event in events:
                yield event

        await self.stage.consume(source())

    def step(self, partition: int) -> FakeStep:
        return self.stage.held[partition].step
