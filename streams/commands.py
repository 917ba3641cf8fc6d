"""Commands: what people ask for, put in order with the alerts that they are about.

What: forwards each record of `commands` to the same partition of `alerts`, where the notify step of the incident reads
both in one order, so that a replay sees them in that order too. The partition is for the sender to know: it is the one
in which `incidents` has the incident. Why no state: a command that is forwarded twice has the same id, and the second
one changes nothing. It refuses to judge: unreadable commands become dead letters.
"""

from __future__ import annotations

from collections.abc import AsyncIterable

from schemas import codec
from schemas.corrupt import CorruptRecord
from schemas.records import Command
from streams import letters, topics
from streams.producer import Outgoing, Producer
from streams.records import Record
from streams.stage import ChunkEvent


async def forward(events: AsyncIterable[ChunkEvent], producer: Producer) -> None:
    """Body of the agent. Acknowledges a chunk when the broker has all of it; a failed delivery ends the agent."""
    async for event in events:
        partition = event.message.partition
        await producer.settled(producer.send(forwarded(record, partition) for record in event.value))
        event.ack()


def forwarded(record: Record, partition: int) -> Outgoing:
    """The command on its way to the alerts, or its dead letter."""
    try:
        command = codec.decode(record.value)
        if not isinstance(command, Command):
            raise letters.misplaced(command, "commands")
    except CorruptRecord as error:
        return letters.dead(topics.COMMANDS, partition, record, error)
    return Outgoing(topics.ALERTS, command.command_id.encode(), record.value, partition)
