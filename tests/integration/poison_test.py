"""Poison on our own topics, and outputs that the broker refuses: the same worker goes on, and every byte is kept."""

from __future__ import annotations

import dataclasses
import os

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas import codec, corrupt
from schemas.cells import Cells
from schemas.records import AlertTransition, DeadLetter, PartialBatch
from streams import topics
from streams.limits import MAX_RECORD_BYTES
from tests.cli.build import ALERT, STATUS
from tests.integration.exact_test import Bench
from tests.integration.page_test import burn
from tests.integration.plant import PARTITIONS, WORKER, Plant, now_ms

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

STRANGE = PartialBatch(PARTITIONS + 7, 10**9, 0, now_ms(), (now_ms(),) * 4, (now_ms(),) * 4, Cells.empty())
POISON = [
    (topics.PARTIALS, b"not avro", corrupt.FRAMING),
    (topics.PARTIALS, codec.encode(STATUS), corrupt.UNKNOWN_SCHEMA),
    (topics.PARTIALS, b"\xc3\x01" + bytes(30), corrupt.UNKNOWN_SCHEMA),
    (topics.PARTIALS, codec.encode(STRANGE), corrupt.VALUE),
    (topics.PARTIALS, codec.encode(dataclasses.replace(STRANGE, partition=0, watermarks=())), corrupt.COLUMNS),
    (topics.ALERTS, b"not avro", corrupt.FRAMING),
    (topics.ALERTS, codec.encode(STATUS), corrupt.UNKNOWN_SCHEMA),
    (topics.ALERTS, codec.encode(dataclasses.replace(ALERT, event_ms=2**62)), corrupt.TIME),
    (topics.COMMANDS, codec.encode(STATUS), corrupt.UNKNOWN_SCHEMA),
]


def letters(plant: Plant) -> dict[tuple[str, int, int], list[DeadLetter]]:
    """By topic, partition and offset."""
    found: dict[tuple[str, int, int], list[DeadLetter]] = {}
    for entry in plant.tap.of(topics.DLQ):
        letter = entry.record
        found.setdefault((letter.source_topic, letter.partition, letter.offset), []).append(letter)
    return found


def put(plant: Plant, records: list[tuple[str, int, bytes]]) -> dict[tuple[str, int, int], bytes]:
    """Produce, and say where each came to lie."""
    producer = Producer(
        {"bootstrap.servers": plant.bootstrap, "acks": "all", "message.max.bytes": 2 * MAX_RECORD_BYTES}
    )
    placed: dict[tuple[str, int, int], bytes] = {}

    def acknowledged(error: object, message: Message) -> None:
        assert error is None, error
        placed[message.topic() or "", message.partition() or 0, message.offset() or 0] = message.value() or b""

    for topic, partition, value in records:
        producer.produce(topic, value, b"poison", partition, on_delivery=acknowledged)
    assert producer.flush(30) == 0
    return placed


def started(plant: Plant) -> float:
    """When the worker began; it says so with its first look around."""
    return plant.until("its start", lambda: plant.metric("tocsin_worker_started_seconds").get("", 0.0))


def test_poison_on_our_own_topics_is_kept_and_the_same_worker_pages(plant: Plant) -> None:
    since = started(plant)
    reasons = {value: reason for _, value, reason in POISON}
    placed = put(plant, [(topic, p, value) for topic, value, _ in POISON for p in range(PARTITIONS)])
    plant.until("a letter for each", lambda: set(placed) <= set(letters(plant)))
    for place, value in placed.items():
        (letter,) = letters(plant)[place]
        assert (letter.original, letter.reason) == (value, reasons[value])
        assert letter.detail
    burning = burn(plant, "poisoned")
    assert plant.record("its alert", AlertTransition, lambda a: a.labels == {"service": burning.service})
    assert started(plant) == since
    refused = plant.metric("tocsin_refused_records_total")
    assert refused[f'{{reason="{corrupt.FRAMING}"}}'] == 2 * PARTITIONS

    plant.workers.kill(WORKER)  # with -9: what is read again gives the same letters
    plant.start()
    burn(plant, "afterwards")
    for place, value in placed.items():
        assert {(one.original, one.reason) for one in letters(plant)[place]} == {(value, reasons[value])}


def test_a_record_whose_letter_is_larger_than_any_record_may_be(plant: Plant) -> None:
    since = started(plant)
    large = os.urandom(MAX_RECORD_BYTES - 100)  # the topic takes it, and nothing takes it with an envelope around it
    ((place, _),) = put(plant, [(topics.TELEMETRY, 1, large)]).items()
    plant.until("both halves", lambda: len(letters(plant).get(place, [])) == 2)
    first, last = sorted(letters(plant)[place], key=lambda letter: letter.detail)
    assert first.original + last.original == large
    assert (first.reason, last.reason) == (corrupt.SIZE, corrupt.SIZE)
    assert first.detail.startswith("half 1 of 2, ")
    assert started(plant) == since


def limit(plant: Plant, topic: str, most: int) -> None:
    """Set max.message.bytes of a topic, and wait until the broker keeps to it."""
    change = ConfigEntry("max.message.bytes", str(most), incremental_operation=AlterConfigOpType.SET)
    client = topics.admin(plant.bootstrap)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    client.incremental_alter_configs([resource])[resource].result(30)
    plant.until(
        "the limit", lambda: any(d.what == "max.message.bytes" for d in topics.drift(plant.bootstrap, PARTITIONS))
    )


def test_partials_that_the_topic_does_not_take_leave_in_halves_and_nothing_is_lost(plant: Plant) -> None:
    since = started(plant)
    bench = Bench(plant)
    limit(plant, topics.PARTIALS, 700)
    bench.emit(now_ms() - 20_000)
    bench.emit(now_ms())
    verdict = plant.until("all of it", lambda: (found := bench.verdict()) and not found.lost and found)
    assert (verdict.doubled, verdict.altered) == (0, 0)  # the burns above are not in this ledger: they are invented
    assert plant.metric("tocsin_outputs_refused_total")[f'{{topic="{topics.PARTIALS}"}}'] > 0
    assert not [place for place in letters(plant) if place[2] < 0]
    assert started(plant) == since
