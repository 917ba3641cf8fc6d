"""The job under the foreign oracle: its steps by themselves, and the short run.

What: windows as Kafka Streams has them, results as a function of the log whoever replays it, results that occur once; and
`make smoke`'s short form on a real broker, with kills and a control. It refuses to repeat what the driver checks.
"""

from __future__ import annotations

import struct
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.producer import Outgoing
from streams.records import Record, Records
from streams.topics import admin
from tests.foreign.smoke import job
from tests.foreign.smoke.intake import IntakeStep, key_of, starts
from tests.foreign.smoke.once import Once, read_back
from tests.foreign.smoke.play import NEAR_MIDNIGHT_S, QUICK, play
from tests.foreign.smoke.tally import TallyStep

T0 = 1_700_000_000_000


class Remembered:
    """Stands for `Once`."""

    def __init__(self):
        self.sent = []

    def send(self, results, repeat_at=-1):
        self.sent += results


def data(offset, key, number, time_ms):
    return Record(offset, time_ms, job.INT.pack(number), key)


def intake(wrong=""):
    return IntakeStep(1, Remembered(), job.Wrong(wrong))


def test_windows_are_those_of_kafka_streams():
    assert list(starts("sws", 5_500)) == [5_000, 4_000]
    assert list(starts("sws", 5_000)) == [5_000, 4_000]
    assert list(starts("min", job.DAY + 1)) == [job.DAY]
    assert key_of(("sws", "3-9", 4_000)) == b"[3-9@4000/6000]"


def test_a_window_leaves_when_stream_time_has_passed_its_grace():
    step = intake()
    step.apply(Records.of([data(0, b"1-2", 2, T0), data(1, b"1-2", 1, T0 + 10)]))
    step.drain()
    assert not step._once.sent
    step.apply(Records.of([data(2, b"flush", 0, T0 + 2 * job.DAY)]))
    out = step.drain()
    assert not [record for record in out if record.topic == "echo"]
    found = {(record.topic, record.key): job.INT.unpack(record.value)[0] for record in step._once.sent}
    day = T0 // job.DAY * job.DAY
    assert found["min-suppressed", key_of(("min", "1-2", day))] == 1
    assert sorted(value for (topic, _), value in found.items() if topic == "sws-suppressed") == [3, 3]


def test_a_snapshot_changes_nothing():
    whole, before = intake(), intake()
    first = Records.of([data(0, b"1-2", 2, T0), data(1, b"1-2", 1, T0 + 1_500)])
    second = Records.of([data(2, b"1-2", 7, T0 + 2_000), data(3, b"flush", 0, T0 + 2 * job.DAY)])
    after = intake()
    before.apply(first)
    after.restore(before.snapshot())
    after.drain()
    whole.apply(first)
    whole.drain()
    for step in (whole, after):
        step.apply(first)  # again: below the fence
        step.apply(second)
    assert whole.drain() == after.drain()
    assert set(whole._once.sent) == set(after._once.sent)
    assert len(whole._once.sent) == len(after._once.sent) == 5  # a day, and four windows of two seconds


@pytest.mark.parametrize(("wrong", "events"), [("", 10), ("dropped", 9), ("doubled", 11)])
def test_a_wrong_is_one_record(wrong, events):
    step = intake(wrong)
    step.apply(Records.of([data(offset, b"1-2", offset, T0) for offset in range(10)]))
    out = step.drain()
    assert len([record for record in out if record.topic == "telemetry"]) == events
    assert len([record for record in out if record.topic == "echo"]) == 10


def test_a_wrong_that_nobody_knows_is_refused(monkeypatch):
    monkeypatch.setenv(job.WRONG, "sideways")
    with pytest.raises(ValueError, match="sideways"):
        job.Wrong.told()


def word(offset, source, as_of, counts):
    value = b'{"as_of": %d, "counts": %s}' % (as_of, repr([list(pair) for pair in counts.items()]).encode())
    return Record(offset, T0, value, source)


def told(records: list[Outgoing]):
    return [(record.key, struct.unpack(">q", record.value)[0]) for record in records]


def test_a_count_that_came_and_went_between_two_drains_is_told_and_taken_back():
    step = TallyStep(0)
    step.apply(Records.of([word(0, b"0", 1, {51: 1}), word(1, b"1", 1, {52: 1}), word(2, b"0", 2, {52: 1})]))
    assert told(step.drain()) == [(b"51", 1), (b"52", 1), (b"51", 0), (b"52", 2)]
    step.apply(Records.of([word(3, b"0", 1, {51: 1})]))  # a replay of what was
    assert not step.drain()


@pytest.fixture
def once_topic(bootstrap, unique):
    name = unique("once")
    client = admin(bootstrap)
    client.create_topics([job.NewTopic(name, 1, 1)])[name].result(30)
    return name


def test_what_is_there_is_not_sent_again_and_an_older_sender_sends_nothing(bootstrap, once_topic, unique):
    name = unique("smoke")
    result = [Outgoing(once_topic, b"%d" % number, b"x", 0) for number in range(3)]
    older = Once(bootstrap, name, [once_topic], 0)
    older.send(result[:1])
    younger = Once(bootstrap, name, [once_topic], 0)
    older.send(result[:2])
    assert read_back(bootstrap, [once_topic], 0) == {(once_topic, b"0")}
    younger.send(result)
    younger.send(result)
    ends = job_ends(bootstrap, once_topic)
    assert ends == 5  # three results, and a marker after each of two transactions
    again = Once(bootstrap, name, [once_topic], 0)
    again.send(result)
    assert job_ends(bootstrap, once_topic) == ends


def job_ends(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ends"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
    finally:
        consumer.close()


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(420)
def test_kafkas_own_driver_passes_the_job_under_kills_and_refuses_a_record_dropped():
    if time.time() % 86_400 > 86_400 - NEAR_MIDNIGHT_S:
        pytest.skip("near midnight UTC the driver sees two days")
    play(QUICK, print)
