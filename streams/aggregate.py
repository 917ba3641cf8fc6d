"""Aggregate: telemetry in, partials out. One step for each partition of `telemetry`.

decode -> apply -> (close panes) -> partials; what can't be read goes to the dead letters, what comes too late or from
the future to the late topic, with its original bytes. It refuses to decide: that is for
`schemas.telemetry` and `rollups.aggregate`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import structlog

from rollups import aggregate_state, growth
from rollups.aggregate import Aggregate
from rollups.cut import in_pieces
from rollups.packing import pack, unpack
from rollups.series import FeedsOf
from schemas import codec
from schemas.records import DeadLetter, LateRecord
from schemas.telemetry import TelemetryDecoder
from streams import selfmetrics, topics
from streams.producer import Outgoing
from streams.records import Records
from streams.settings import Settings

log = structlog.get_logger(__name__)

_SIZES = struct.Struct("<QQ")
DETAIL_CHARS = 500
COMPACT_EVERY_MS = 60_000
FULL_SAID_EVERY_MS = 60_000
STAGE = "aggregate"


class AggregateStep:
    """See `streams.step.Step`."""

    urgent = False
    wants_snapshot = False

    def __init__(
        self,
        partition: int,
        settings: Settings,
        feeds: FeedsOf,
        feeds_version: str,
        decoder: Callable[[Aggregate], TelemetryDecoder],
    ) -> None:
        self.partition = partition
        self._aggregate = Aggregate(
            partition,
            settings.partitions,
            feeds,
            settings.limits,
            settings.lateness,
            fingerprint=settings.fingerprint,
            feeds_version=feeds_version,
        )
        self._decoder = decoder(self._aggregate)
        self._letters: list[Outgoing] = []
        self._reported: dict[str, int] = {}
        self._skewed: dict[str, int] = {}
        self._compact_at_ms = 0
        self._overflowed = 0  # of which it was said that no more series fit
        self._full_at_ms = 0  # when it may be said again

    @property
    def fence(self) -> int:
        """Last source offset applied."""
        return self._aggregate.fence

    @property
    def unaccounted(self) -> int:
        """Measurements that were accepted and went nowhere."""
        return self._aggregate.tally.unaccounted

    def apply(self, records: Records) -> None:
        """Decode and count what is above the fence."""
        fresh = records.after(self.fence)
        if not fresh:
            return
        decoded = self._decoder.decode_chunk(fresh.offset, fresh.timestamp_ms, fresh.chunk)
        known_late = len(self._aggregate.intake.late)
        self._aggregate.apply(decoded.measurements, int(fresh.offset[-1]))
        self._letters += [
            self._letter(fresh, refused.offset, topics.DLQ, refused.reason, refused.detail, refused.byte)
            for refused in decoded.refused
        ]
        for late in self._aggregate.intake.late[known_late:]:
            detail = f"{late.rows} measurements of the record, the oldest at {late.event_ms}"
            if late.skew_ms:
                detail += f", after {late.skew_ms} ms were added for its source's clock"
            self._letters.append(self._letter(fresh, late.offset, topics.LATE, late.reason, detail, -1))

    def _letter(self, records: Records, offset: int, topic: str, reason: str, detail: str, byte: int) -> Outgoing:
        """A record's original bytes on their way to where a person may look at them."""
        record = records.at(offset)
        form = DeadLetter if topic == topics.DLQ else LateRecord
        letter = form(
            source_topic=topics.TELEMETRY,
            partition=self.partition,
            offset=offset,
            timestamp_ms=record.timestamp_ms,
            reason=reason,
            detail=detail[:DETAIL_CHARS],
            byte=byte,
            original=record.value,
        )
        selfmetrics.REFUSED.labels(reason).inc()
        return Outgoing(topic, f"{self.partition}/{offset}".encode(), codec.encode(letter), self.partition)

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Move time; the idle part of a watermark moves only when caught up."""
        self._aggregate.tick(now_ms, caught_up)
        self._now_ms = now_ms

    def drain(self) -> list[Outgoing]:
        """Partials by target partition, and letters."""
        drained = self._aggregate.drain()
        key = str(self.partition).encode()
        out = [
            Outgoing(topics.PARTIALS, key, codec.encode(piece), target)
            for target, batch in drained.partials.items()
            for piece in in_pieces(batch)
        ]
        letters, self._letters = self._letters, []
        if self._now_ms >= self._compact_at_ms:
            self._compact_at_ms = self._now_ms + COMPACT_EVERY_MS
            if self._aggregate.compact():
                self._decoder.forget()
        if self._aggregate.overflowed > self._overflowed and self._now_ms >= self._full_at_ms:
            self._full()
        self._report()
        return out + letters

    def _full(self) -> None:
        """Say that no more series fit, and who brought the newest."""
        self._overflowed, self._full_at_ms = self._aggregate.overflowed, self._now_ms + FULL_SAID_EVERY_MS
        found = growth.newest(self._aggregate.registry)
        log.warning(
            "series_limit",
            partition=self.partition,
            series=len(self._aggregate.registry),
            newest=found._asdict() if found else None,
            do="bound that label where it is emitted (docs/howto/instrument-a-service.md), or raise TOCSIN_MAX_SERIES",
        )

    def _report(self) -> None:
        tally = self._aggregate.tally
        now = {
            "accepted": tally.accepted,
            "aggregated": tally.aggregated,
            "late": tally.late,
            "deduped": tally.deduped,
            "too_late": tally.too_late,
            "future": tally.future,
            "overflowed": self._aggregate.overflowed,
        }
        selfmetrics.fates(self._reported, now)
        self._reported = now
        skewed = dict(self._aggregate.intake.skewed)
        selfmetrics.skewed(self._skewed, skewed)
        self._skewed = skewed
        selfmetrics.unaccounted(STAGE, self.partition, self.unaccounted)
        selfmetrics.series(self.partition, len(self._aggregate.registry))
        for kind, newest_ms in enumerate(self._aggregate.intake.watermarks.max_event_ms):
            selfmetrics.event_lag(kind, newest_ms, self._now_ms)

    def settled(self) -> None:
        """Nothing waits for it here."""

    def snapshot(self) -> bytes:
        """What was counted, and the tails that the decoder knows."""
        counted = aggregate_state.snapshot(self._aggregate)
        known = pack({}, self._decoder.columns(), [])
        return _SIZES.pack(len(counted), len(known)) + counted + known

    def restore(self, data: bytes) -> None:
        """Inverse of `snapshot`."""
        counted, known = _SIZES.unpack_from(data)
        at = _SIZES.size
        aggregate_state.restore(self._aggregate, data[at : at + counted])
        self._overflowed = self._aggregate.overflowed
        self._decoder.restore(unpack(data[at + counted : at + counted + known]).columns)

    def close(self) -> None:
        """Take the partition's gauges down."""
        selfmetrics.forget(STAGE, self.partition)
