"""Nothing is lost and nothing is counted twice: broken, late and future records, commands, a worker killed in mid-work.

The oracle is the demo's: a ledger of what the broker acknowledged, compared cell by cell (count, sum, extremes,
fingerprint) with what came out.
"""

from __future__ import annotations

import itertools
import struct
import threading
from typing import NamedTuple

import pytest
from confluent_kafka import Message, Producer
from tocsin import Client, MemoryTransport, Transport
from tocsin.kafka import KafkaTransport

from demo.audit import TOPICS, Audit, Verdict
from demo.ledger import Ledger, LedgerTransport
from local.process import free_port
from schemas import codec, corrupt
from schemas.records import Command, DeadLetter, LateRecord
from streams import topics
from streams.settings import Settings
from tests.integration.plant import PARTITIONS, WORKER, Plant, now_ms
from tests.streams.broker import committed, fill, read_all

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

SERVICES = ("north", "south", "east")
OTHER = "other"
MARKED = 1_234_567.0
HALF_HOUR_MS = 1_800_000


class Bench:
    """Clients whose records are booked, and what came out of the platform so far."""

    def __init__(self, plant: Plant, *ways: Transport) -> None:
        """`ways`: what the sources send over, in turn; else straight to the broker."""
        self.plant, self.ledger, self.audit = plant, Ledger(), Audit()
        self._read = 0
        booked = [LedgerTransport(way, self.ledger) for way in ways or [KafkaTransport(plant.bootstrap)]]
        self.clients = [
            plant.client(service, way) for service, way in zip(SERVICES, itertools.cycle(booked), strict=False)
        ]

    def emit(self, at_ms: int, count: int = 50) -> None:
        """Measurements of three kinds from every source at an event time; returns when they are acknowledged."""
        for client in self.clients:
            record(client, at_ms, count)
            assert client.flush(30)

    def verdict(self) -> Verdict:
        """The comparison with everything that came out by now."""
        self.plant.tap.poll()
        entries = self.plant.tap.entries
        for entry in entries[self._read :]:
            if entry.topic in TOPICS:
                self.audit.read(entry.topic, entry.value)
        self._read = len(entries)
        return self.audit.compare(self.ledger.snapshot())

    def settle(self) -> Verdict:
        """The verdict, once every acknowledged measurement is found again."""
        assert self.ledger.unknown == 0
        try:
            self.plant.until("every measurement", lambda: self.verdict().exact)
        except AssertionError:
            print(self.verdict())
            raise
        return self.verdict()


def record(client: Client, at_ms: int, count: int) -> None:
    requests, sizes = client.outcome("http.request"), client.histogram("http.size", "By")
    for number in range(count):
        requests.observe(good=True, value=float(number), time_ms=at_ms + number)
        sizes.record(float(number * 3), time_ms=at_ms + number)
        client.counter("http.bytes", "By").add(number, time_ms=at_ms + number)


@pytest.fixture(scope="module")
def bench(plant: Plant) -> Bench:
    return Bench(plant)


class Broken(NamedTuple):
    """A record that must become a dead letter."""

    value: bytes
    reason: str
    byte: int  # -1: somewhere in the record


def broken() -> list[Broken]:
    """One record for each way of being broken that a wire or a bad producer knows."""
    kept = MemoryTransport()
    with Client(transport=kept, kind="web", service="broken", source="broken-1", flush_interval=60.0) as client:
        client.gauge("depth").set(MARKED)
    ((_, whole),) = kept.records
    at = whole.index(struct.pack("<d", MARKED))
    flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    return [
        Broken(b"not avro", corrupt.FRAMING, 0),
        Broken(b"\xc3\x01" + bytes(8) + whole[10:], corrupt.UNKNOWN_SCHEMA, 2),
        Broken(b"\x00\x00\x00\x00\x07" + whole[10:], corrupt.UNKNOWN_SCHEMA, 1),  # there is no registry
        Broken(whole[:-3], corrupt.LENGTH, -1),
        Broken(whole[:12], corrupt.LENGTH, -1),
        Broken(flipped, corrupt.CRC, -1),
        Broken(whole + b"\x00", corrupt.TRAILING, len(whole)),
    ]


def test_broken_records_are_kept_with_their_reason_and_cost_nothing_else(plant: Plant, bench: Bench) -> None:
    bench.emit(now_ms() - 40_000)
    sent: dict[tuple[int, int], Broken] = {}
    producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all"})
    for one, partition in itertools.product(broken(), range(PARTITIONS)):

        def acknowledged(error: object, message: Message, one: Broken = one) -> None:
            assert error is None
            sent[message.partition() or 0, message.offset() or 0] = one

        producer.produce(topics.TELEMETRY, one.value, b"broken", partition, on_delivery=acknowledged)
    assert producer.flush(30) == 0
    bench.emit(now_ms() - 20_000)

    plant.until("the dead letters", lambda: len(plant.tap.of(topics.DLQ)) >= len(sent))
    letters = {(e.record.partition, e.record.offset): e.record for e in plant.tap.of(topics.DLQ)}
    assert set(letters) == set(sent)
    for place, one in sent.items():
        letter = letters[place]
        assert isinstance(letter, DeadLetter)
        assert (letter.source_topic, letter.reason, letter.original) == (topics.TELEMETRY, one.reason, one.value)
        assert letter.detail
        assert letter.byte == one.byte if one.byte >= 0 else 10 <= letter.byte <= len(one.value)
    bench.emit(now_ms())
    assert bench.settle().dead_lettered == len(sent)


def test_what_comes_too_late_or_from_the_future_is_kept_and_not_counted(plant: Plant, bench: Bench) -> None:
    bench.emit(now_ms() - 20_000, count=10)
    for at_ms, reason in ((now_ms() - HALF_HOUR_MS, "too_late"), (now_ms() + HALF_HOUR_MS, "future")):
        bench.emit(at_ms, count=10)
        letters = plant.until(
            f"letters of what is {reason}",
            lambda reason=reason: letters_of(plant, reason) if len(letters_of(plant, reason)) >= len(SERVICES) else [],
        )
        assert {letter.source_topic for letter in letters} == {topics.TELEMETRY}
        assert all(f"30 measurements of the record, the oldest at {at_ms}" == letter.detail for letter in letters)
        assert all(b"http.request" in letter.original for letter in letters)
    bench.emit(now_ms(), count=10)
    verdict = bench.settle()
    assert verdict.late == 2 * 30 * len(SERVICES)
    refused = plant.metric("tocsin_refused_records_total")
    assert refused['{reason="too_late"}'] == refused['{reason="future"}'] == len(SERVICES)


def letters_of(plant: Plant, reason: str) -> list[LateRecord]:
    return [entry.record for entry in plant.tap.of(topics.LATE) if entry.record.reason == reason]


def aggregated(plant: Plant) -> float:
    return plant.metric("tocsin_measurements_total").get('{fate="aggregated"}', 0.0)


def test_a_worker_killed_in_mid_work_loses_and_doubles_nothing(plant: Plant, bench: Bench) -> None:
    ended, failures = threading.Event(), []

    def feed() -> None:
        try:
            while not ended.is_set():
                bench.emit(now_ms() - 15_000, count=200)
        except Exception as error:  # noqa: BLE001  # shown by whoever joins
            failures.append(error)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for _ in range(2):
            before = aggregated(plant)
            plant.until("work", lambda before=before: aggregated(plant) > before)
            plant.workers.kill(WORKER)
            assert plant.ask("/livez")[0] == 0
            plant.start()
    finally:
        ended.set()
        feeder.join()
    assert not failures
    bench.emit(now_ms())
    verdict = bench.settle()
    assert verdict.aggregated == sum(bench.ledger.published.values()) - verdict.late
    assert bench.audit.regressions == 0
    assert set(plant.metric("tocsin_unaccounted_events").values()) == {0.0}
    assert plant.workers.kills == 2


def test_a_worker_that_is_told_to_stop_leaves_nothing_to_replay(plant: Plant, bench: Bench) -> None:
    bench.settle()
    before = aggregated(plant)
    bench.emit(now_ms(), count=30)
    plant.until("the last measurements", lambda: aggregated(plant) >= before + 3 * 30 * len(SERVICES))
    plant.workers.stop()
    ends = {p: len(found) for p, found in read_all(plant.bootstrap, topics.TELEMETRY, PARTITIONS).items()}
    done = committed(plant.bootstrap, Settings().application, topics.TELEMETRY, PARTITIONS)
    assert {p: max(0, at) for p, at in done.items()} == ends
    plant.start()
    assert plant.metric("tocsin_input_records_total").get('{stage="aggregate"}', 0.0) == 0.0
    assert bench.settle().exact


def test_the_first_command_ever_is_not_lost_by_a_worker_that_takes_over(plant: Plant) -> None:
    """Nothing of `commands` was committed yet, so Kafka's client has nowhere to seek to, whatever a fetch has passed already."""
    log = plant.directory / f"{OTHER}-{plant.workers.kills}.log"
    plant.workers.start(OTHER, {"TOCSIN_HEALTH_PORT": str(free_port())})
    plant.until("a share for the second worker", lambda: " restored " in log.read_text("utf-8"))
    plant.workers.kill(OTHER)
    names = [f"first-{partition}" for partition in range(PARTITIONS)]
    commands = [codec.encode(Command(name, "acknowledge", "nobody", "ada", now_ms(), {})) for name in names]
    fill(plant.bootstrap, topics.COMMANDS, enumerate(commands))

    def forwarded() -> set[str]:
        return {e.record.command_id for e in plant.tap.of(topics.ALERTS) if isinstance(e.record, Command)}

    plant.until("every command among the alerts", lambda: forwarded() >= set(names))
