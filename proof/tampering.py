"""Tampering: what is done to the records: sent again, broken, hostile, too many.

What: one function an action. Why: the log takes in whatever anybody publishes. It refuses to make a record itself:
`proof.payloads` does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from confluent_kafka import Producer

from proof import bombs, payloads
from proof.faults import Step
from proof.field import PARTITIONS
from proof.gate import peak_mb
from proof.harm import Harm, Unexpected
from streams import topics

BOMB_MB = 160.0  # by which a worker's memory may grow: what one batch may unfold to, and what was fetched
UNFOLDS = re.compile(rb"batch refused: .* (unfold beyond|declare) \d+")


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
        self._refused(broken)
        return len(broken)

    def _do_bombs(self, step: Step) -> int:
        """Batches of up to 8 MiB that unfold to a gigabyte, one of each codec: each is noted, and nobody's memory grows by it.
        The load stands still as they are sent, so that whoever reads the raw topic can step over them."""
        field, partition, ends = self.field, self.rng.randrange(PARTITIONS), len(self.field.ends)
        field.until("all at work before the bombs", field.at_work)
        made = [bombs.batch(number, pack(), time.time_ns() // 1_000_000) for number, pack in bombs.MADE.values()]
        before = {name: peak_mb(field.workers.pid(name), afresh=True) for name in field.workers.names}
        try:
            with field.quiet():
                offsets = bombs.append(field.cluster.bootstrap, partition, made)
        except (bombs.NotTaken, TimeoutError) as error:
            raise Unexpected(f"{Unexpected.__doc__}: {error}") from error
        field.unfolding |= {(partition, offset) for offset in offsets}
        noted = field.watch.audit.originals
        field.until("the dead letters", lambda: all((partition, offset) in noted for offset in offsets))
        self._recover()
        if len(field.ends) > ends:
            raise Unexpected(f"{Unexpected.__doc__}: {field.ends[ends:]} ended by it")
        wrong = [noted[partition, offset] for offset in offsets if not UNFOLDS.search(noted[partition, offset])]
        if wrong:
            raise Unexpected(f"{Unexpected.__doc__}: noted, but for another reason: {wrong}")
        grown = max(peak_mb(field.workers.pid(name)) - before[name] for name in before)
        field.note(bombs_memory_mb=round(grown))
        if grown > BOMB_MB:
            raise Unexpected(f"{Unexpected.__doc__}: a worker's memory grew by {grown:.0f} MB")
        return len(offsets)

    def _refused(self, records: Sequence[bytes]) -> None:
        """Publish records of which each must become a dead letter."""
        letters = self.field.watch.audit
        before = len(letters.dead_letters)
        self._publish(b"broken", [(value, "none") for value in records])
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
