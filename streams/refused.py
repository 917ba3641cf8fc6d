"""Refused: what to send instead of a record that the broker refuses for good, by size or by form.

What: `instead` answers the same content in halves (rows of partials and rollups, bytes of letters), or as a dead letter
where nothing can be halved. Why: a record that is refused once is refused after each restart, and dropping it would be
a silent loss. It refuses to shrink a snapshot: then a person has to raise the topic's limit (exit code 78).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import structlog

from rollups.cut import silent
from rollups.plain import selected
from schemas import codec
from schemas.corrupt import CorruptRecord
from schemas.records import DeadLetter, LateRecord, PartialBatch, RollupBatch
from streams import errors, selfmetrics, topics
from streams.limits import LETTER_BYTES_LEAST, LETTER_DETAIL_CHARS
from streams.producer import Outgoing

REASON = "refused_by_broker"

log = structlog.get_logger(__name__)


def instead(record: Outgoing, why: str) -> list[Outgoing]:
    """What carries the same content. Raises OutputRefused where nothing can."""
    size = len(record.value or b"")
    selfmetrics.OUTPUTS_REFUSED.labels(record.topic).inc()
    parts = _parts(record, why)
    if not parts:
        raise errors.OutputRefused(topic=record.topic, size=size, reason=why)
    told = "halves" if len(parts) > 1 else f"a dead letter in {topics.DLQ}"
    log.error("output_refused", topic=record.topic, partition=record.partition, bytes=size, why=why, instead=told)
    return parts


def _parts(record: Outgoing, why: str) -> list[Outgoing]:
    if record.value is None or record.topic.startswith(topics.STATE_PREFIX):
        return []
    try:
        found = codec.decode(record.value)
    except CorruptRecord:
        return [_dead(record, why)]  # a command that goes on as it came
    if isinstance(found, PartialBatch | RollupBatch) and len(found.cells) > 1:
        return _keyed(record, _rows(found))
    if isinstance(found, DeadLetter | LateRecord):
        return _keyed(record, _bytes(found)) if len(found.original) > LETTER_BYTES_LEAST else []
    return [_dead(record, why)]


def _keyed(record: Outgoing, halves: list[codec.Record]) -> list[Outgoing]:
    """Keys of their own, since a compacted topic keeps one record a key."""
    key = record.key or b""
    return [
        dataclasses.replace(record, key=key + b".%d" % number, value=codec.encode(half))
        for number, half in enumerate(halves)
    ]


def _rows(batch: PartialBatch | RollupBatch) -> list[codec.Record]:
    rows = np.arange(len(batch.cells))
    first, last = (selected(batch.cells, part) for part in np.array_split(rows, 2))
    if isinstance(batch, RollupBatch):
        return [dataclasses.replace(batch, cells=first), dataclasses.replace(batch, cells=last)]
    return [silent(batch, first), dataclasses.replace(batch, cells=last)]


def _bytes(letter: DeadLetter | LateRecord) -> list[codec.Record]:
    half = len(letter.original) // 2
    return [
        dataclasses.replace(letter, original=part, detail=f"half {number} of 2, {letter.detail}"[:LETTER_DETAIL_CHARS])
        for number, part in ((1, letter.original[:half]), (2, letter.original[half:]))
    ]


def _dead(record: Outgoing, why: str) -> Outgoing:
    letter = DeadLetter(
        source_topic=record.topic,
        partition=-1 if record.partition is None else record.partition,
        offset=-1,
        timestamp_ms=0,
        reason=REASON,
        detail=f"key {(record.key or b'').hex()}: {why}"[:LETTER_DETAIL_CHARS],
        byte=-1,
        original=record.value or b"",
    )
    key = f"{record.topic}/".encode() + (record.key or b"")
    return Outgoing(topics.DLQ, key, codec.encode(letter), record.partition)
