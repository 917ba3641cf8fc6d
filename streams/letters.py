"""Letters: what a stage cannot take of our own topics, kept with its bytes, its place and the reason.

What: `dead` makes the dead letter of a record, `misplaced` the refusal of a record of another kind. Why: what cannot be
read today cannot be read after a restart either, so ending the worker would end it for ever; a letter is a function of
the record alone, so a replay writes the same one under the same key. It refuses to drop: it is counted and logged, and
whoever refuses a record sends its letter.
"""

from __future__ import annotations

import structlog

from schemas import codec
from schemas.corrupt import UNKNOWN_SCHEMA, CorruptRecord
from schemas.records import DeadLetter
from streams import selfmetrics, topics
from streams.limits import LETTER_DETAIL_CHARS
from streams.producer import Outgoing
from streams.records import Record

FINGERPRINT_AT = 2  # byte of the framing that names the schema

log = structlog.get_logger(__name__)


def misplaced(found: object, wanted: str) -> CorruptRecord:
    """A record that reads well, in a topic where it does not belong."""
    return CorruptRecord(UNKNOWN_SCHEMA, FINGERPRINT_AT, f"{type(found).__name__} is not read here, but {wanted}")


def dead(topic: str, partition: int, record: Record, error: CorruptRecord) -> Outgoing:
    """The dead letter of a record of `topic`. Its key names the topic too: offsets of several topics meet in the DLQ."""
    selfmetrics.REFUSED.labels(error.reason).inc()
    log.warning("record_refused", topic=topic, partition=partition, offset=record.offset, why=str(error))
    letter = DeadLetter(
        source_topic=topic,
        partition=partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        reason=error.reason,
        detail=error.detail[:LETTER_DETAIL_CHARS],
        byte=error.byte,
        original=record.value,
    )
    key = f"{topic}/{partition}/{record.offset}".encode()
    return Outgoing(topics.DLQ, key, codec.encode(letter), partition)
