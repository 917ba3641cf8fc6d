"""The outbox as bytes, and back: what survives a restart.

What: magic, CRC-32, zlib over JSON; equal outboxes give equal bytes. What was under way when the snapshot was taken is
owed again after it, as nobody knows whether it arrived. Why JSON: a page that did not arrive is looked into by people.
It refuses what is damaged, of another format or too large, and takes over nothing of it.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import zlib
from typing import Any

from schemas.records import NotificationRecord
from sinks import limits
from sinks.lane import Entry, Lane
from sinks.outbox import Outbox

MAGIC = b"TOX1"
_HEAD = len(MAGIC) + 4


class CorruptOutbox(ValueError):
    """The outbox's snapshot is damaged or of another format."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"outbox snapshot refused: {detail}")


def snapshot(outbox: Outbox) -> bytes:
    """All state as bytes, for `restore`."""
    content = {
        "now_ms": outbox.now_ms,
        "sequence": outbox.sequence,
        "lanes": {name: _lane(lane) for name, lane in outbox.lanes.items()},
        "settled_ids": list(outbox.settled_ids.keys),
        "told": list(outbox.told.keys),
        "elsewhere": list(outbox.elsewhere.keys),
        "memos": list(outbox.memos.items()),
        "changes": [_fields(record) for record in outbox.changes],
        "counters": dict(sorted(outbox.counters.items())),
    }
    body = zlib.compress(json.dumps(content, sort_keys=True, separators=(",", ":")).encode(), 1)
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def _fields(record: NotificationRecord) -> dict[str, object]:
    return {**{f.name: getattr(record, f.name) for f in dataclasses.fields(record)}, "details": dict(record.details)}


def _lane(lane: Lane) -> dict[str, object]:
    breaker = lane.breaker
    return {
        "paused_ms": lane.paused_ms,
        "breaker": [breaker.failures, breaker.until_ms, breaker.openings],
        "sent": list(lane.budget.sent),
        "entries": [
            {
                "record": _fields(entry.record),
                "sequence": entry.sequence,
                "offered_ms": entry.offered_ms,
                "next_ms": entry.next_ms,
                "came": list(entry.came),
                "attempts": entry.attempts,
                "under_way": bool(entry.lease_ms),
                "fell_back": entry.fell_back,
                "memo": entry.memo,
            }
            for entry in lane
        ],
    }


def restore(outbox: Outbox, data: bytes) -> None:
    """The state of a snapshot into a new outbox. Raises CorruptOutbox, and then the outbox is still new.

    Deliveries of a channel that is configured no longer fail with that reason.
    """
    content = _read(data)
    fresh = Outbox({name: lane.policy for name, lane in outbox.lanes.items()})
    try:
        _fill(fresh, content)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptOutbox(f"{type(error).__name__}: {error}") from error
    vars(outbox).update(vars(fresh))


def _read(data: bytes) -> dict[str, Any]:
    if data[: len(MAGIC)] != MAGIC:
        raise CorruptOutbox("it does not begin as one")
    if zlib.crc32(data[_HEAD:]) != int.from_bytes(data[len(MAGIC) : _HEAD], "little"):
        raise CorruptOutbox("the checksum does not fit")
    reader = zlib.decompressobj()
    try:
        plain = reader.decompress(data[_HEAD:], limits.SNAPSHOT_BYTES_MAX)
        if reader.unconsumed_tail or not reader.eof:
            raise CorruptOutbox(f"it is incomplete, or larger than {limits.SNAPSHOT_BYTES_MAX} bytes")
        content = json.loads(plain)
    except (zlib.error, ValueError) as error:
        raise error if isinstance(error, CorruptOutbox) else CorruptOutbox(str(error)) from error
    if not isinstance(content, dict):
        raise CorruptOutbox("it holds no object")
    return content


def _fill(outbox: Outbox, content: dict[str, Any]) -> None:
    outbox.now_ms, outbox.sequence = int(content["now_ms"]), int(content["sequence"])
    outbox.counters = collections.Counter({str(name): int(count) for name, count in content["counters"].items()})
    outbox.changes.extend(NotificationRecord(**fields) for fields in content["changes"])
    for known in ("settled_ids", "told", "elsewhere"):
        for key in content[known]:
            getattr(outbox, known).add(str(key))
    outbox.memos.update({str(pair): str(memo) for pair, memo in content.get("memos", [])})
    for name, fields in content["lanes"].items():
        entries = [_entry(row) for row in fields["entries"]]
        outbox.counters["owed_again"] += sum(bool(row["under_way"]) for row in fields["entries"])
        lane = outbox.lanes.get(name)
        if lane is None:
            outbox.counters["offered"] -= len(entries)  # they are offered again, and fail
            outbox.offer([entry.record for entry in entries], outbox.now_ms)
            continue
        lane.paused_ms = int(fields["paused_ms"])
        lane.breaker.failures, lane.breaker.until_ms, lane.breaker.openings = map(int, fields["breaker"])
        lane.budget.sent.extend(map(int, fields["sent"]))
        for entry in entries:
            lane.add(entry)


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        record=NotificationRecord(**row["record"]),
        sequence=int(row["sequence"]),
        offered_ms=int(row["offered_ms"]),
        next_ms=int(row["next_ms"]),
        came=tuple(row["came"]),
        attempts=int(row["attempts"]),
        fell_back=bool(row["fell_back"]),
        unsure=True,  # what followed the snapshot is not known: it may have been sent, and taken
        memo=str(row.get("memo", "")),
    )
