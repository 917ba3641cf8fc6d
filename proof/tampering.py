"""Tampering: what is done to the records: sent again, broken, hostile, too many.

What: one function an action. Why: the log takes in whatever anybody publishes. It refuses to make a record itself:
`proof.payloads` does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from confluent_kafka import Producer

from proof import payloads
from proof.faults import Step
from proof.field import PARTITIONS
from proof.harm import Harm, Unexpected
from streams import topics

BOMB_MB = 64.0


class Tampering(Harm):
    """Faults of records."""

    def _do_again(self, step: Step) -> int:
        """What was sent before, so many times over, in any order."""
        kept = self.field.load.noted.kept * step.count
        self.rng.shuffle(kept)
        for key, value in kept:
            self.field.load.raw.send(key, value, lambda error: None)
        self._recover()
        return len(kept)

    def _do_poison(self, step: Step) -> int:
        broken = payloads.poison(self.field.load.noted.kept[-1][1])
        self._refused([(value, "none") for value in broken])
        return len(broken)

    def _do_bombs(self, step: Step) -> int:
        """Small batches that unfold to many times their size, one of each codec: noted, and nobody's memory grows by it."""
        before = self.field.resident_mb()
        self._refused([(bytes(payloads.BOMB_BYTES), codec) for codec in payloads.CODECS])
        grown = self.field.resident_mb() - before
        if grown > BOMB_MB:
            raise Unexpected(f"{Unexpected.__doc__}: the workers' memory grew by {grown:.0f} MB")
        return len(payloads.CODECS)

    def _refused(self, records: Sequence[tuple[bytes, str]]) -> None:
        """Publish records (value, codec) of which each must become a dead letter."""
        letters = self.field.watch.audit
        before = len(letters.dead_letters)
        self._publish(b"broken", records)
        self.field.until("the dead letters", lambda: len(letters.dead_letters) >= before + len(records))
        self._recover()

    def _do_hostile(self, step: Step) -> int:
        records = list(payloads.hostile(self._boot(), time.time_ns() // 1_000_000))
        self._publish(b"hostile", [(value, "none") for value in records])
        self._recover()
        return len(records)

    def _do_flood(self, step: Step) -> int:
        """More series than a worker keeps: those beyond are counted together, so that the sum stays true."""
        records = payloads.flood(self._boot(), time.time_ns() // 1_000_000, step.count)
        self._publish(b"flood", [(value, "lz4") for value in records])
        self.field.flooded += step.count
        self._recover()
        return step.count

    def _publish(self, key: bytes, records: Sequence[tuple[bytes, str]]) -> None:
        """Values, each with its codec, to any partitions."""
        fixed = {"bootstrap.servers": self.field.cluster.bootstrap, "acks": "all", "message.max.bytes": 8 << 20}
        producers = {codec: Producer({**fixed, "compression.type": codec}) for codec in {codec for _, codec in records}}
        for value, codec in records:
            producers[codec].produce(topics.TELEMETRY, value, key, self.rng.randrange(PARTITIONS))
        for producer in producers.values():
            producer.flush(30)
