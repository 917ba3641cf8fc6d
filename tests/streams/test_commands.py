"""Commands on their way to the alerts: same bytes, same partition; what is no command becomes a dead letter."""

import types

import pytest

from schemas import codec, corrupt
from schemas.records import Command, DeadLetter
from streams import commands, topics
from streams.errors import DeliveryFailed
from streams.records import Record
from tests.cli.build import ALERT
from tests.streams.stand_ins import FakeProducer

ASKED = codec.encode(Command("c1", "acknowledge", "bb01", "ada", 1_700_000_000_000, {"note": "on it"}))


def record(value: bytes, offset: int = 7) -> Record:
    return Record(offset, 1_700_000_000_123, value, b"bb01")


def test_a_command_goes_on_as_it_is():
    out = commands.forwarded(record(ASKED), 3)
    assert (out.topic, out.key, out.value, out.partition) == (topics.ALERTS, b"c1", ASKED, 3)


@pytest.mark.parametrize(
    ("value", "reason", "byte"),
    [
        (b"not avro", corrupt.FRAMING, 0),
        (ASKED[:-1], corrupt.TRUNCATED, len(ASKED) - 1),
        (codec.encode(ALERT), corrupt.UNKNOWN_SCHEMA, 2),
    ],
)
def test_what_is_no_command_becomes_a_dead_letter(value, reason, byte):
    out = commands.forwarded(record(value), 3)
    letter = codec.decode(out.value)
    assert isinstance(letter, DeadLetter)
    assert (out.topic, out.key, out.partition) == (topics.DLQ, b"commands/3/7", 3)
    assert (letter.source_topic, letter.partition, letter.offset) == (topics.COMMANDS, 3, 7)
    assert (letter.reason, letter.byte, letter.original) == (reason, byte, value)
    assert letter.timestamp_ms == 1_700_000_000_123


def events(journal: list, *values: bytes):
    async def stream():
        for offset, value in enumerate(values):
            message = types.SimpleNamespace(partition=1)
            yield types.SimpleNamespace(
                message=message, value=[record(value, offset)], ack=lambda at=offset: journal.append(("ack", at))
            )

    return stream()


async def test_a_chunk_is_acknowledged_when_the_broker_has_all_of_it():
    journal: list = []
    await commands.forward(events(journal, ASKED, b"broken"), FakeProducer(journal))
    assert journal == [
        ("sent", topics.ALERTS), ("delivered",), ("ack", 0),
        ("sent", topics.DLQ), ("delivered",), ("ack", 1),
    ]  # fmt: skip


async def test_a_failed_delivery_ends_the_agent_and_nothing_is_acknowledged():
    journal: list = []
    producer = FakeProducer(journal)
    producer.fail = "the broker is away"
    with pytest.raises(DeliveryFailed, match="away"):
        await commands.forward(events(journal, ASKED, ASKED), producer)
    assert journal == [("sent", topics.ALERTS)]
