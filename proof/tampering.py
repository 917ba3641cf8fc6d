"""Tampering: what is done to the records: sent again, broken, hostile, too many.

What: one function an action. Why: the log takes in whatever anybody publishes. It refuses to make a record itself:
`proof.payloads` does.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Sequence

from confluent_kafka import Producer

from demo import audit
from proof import bombs, payloads
from proof.booked import book
from proof.faults import WORKERS, Step
from proof.field import PARTITIONS
from proof.gate import peak_mb
from proof.harm import Harm, Unexpected
from proof.intent import sources_on
from streams import topics

BOMB_MB = 160.0  # by which a worker's memory may grow: what one batch may unfold to, and what was fetched
WITHIN_MS = 60_000  # late, and within the two minutes that a window of web sources can be corrected
BEYOND_MS = (600_000, 86_400_000)
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
        """Each becomes a dead letter with its place and reason, and there is no other. One is a pickle that leaves a file behind
        wherever it is unpickled."""
        trace = self.field.directory / "unpickled"
        count = self._fated(b"broken", [*payloads.poison(self._boot(), now_ms()), (payloads.trap(trace), "framing")])
        if trace.exists():
            raise Unexpected(f"{Unexpected.__doc__}: a record was unpickled")
        return count

    def _fated(self, key: bytes, records: Sequence[tuple[bytes, str]]) -> int:
        """Publish records, each of which has the fate that is written beside it: counted, or put aside or refused for a reason."""
        letters = self.field.watch.audit.letters
        before = set(letters)
        wanted = {value[: audit.BEGINS_BYTES]: fate for value, fate in records if fate != payloads.COUNTED}
        self._publish(key, [(value, "none") for value, _ in records])

        def fates() -> dict[bytes, str]:
            return {letters[place][1]: letters[place][0] for place in letters.keys() - before}

        self.field.until("the fate of each record", lambda: wanted.keys() <= fates().keys())
        self._recover()
        if fates() != wanted:
            wrong = {value: fate for value, fate in fates().items() if fate != wanted.get(value)}
            raise Unexpected(f"{Unexpected.__doc__}: refused or put aside as {wrong}")
        return len(records)

    def _do_bombs(self, step: Step) -> int:
        """Batches of up to 8 MiB that unfold to a gigabyte, one of each codec: each is noted, and nobody's memory grows by it.
        The load stands still as they are sent, so that whoever reads the raw topic can step over them."""
        field, partition, ends = self.field, self.rng.randrange(PARTITIONS), len(self.field.ends)
        field.until("all at work before the bombs", field.at_work)
        made = [bombs.batch(number, pack(), now_ms()) for number, pack in bombs.MADE.values()]
        before = {name: peak_mb(field.workers.pid(name), afresh=True) for name in field.workers.names}
        try:
            with field.quiet():
                offsets = bombs.append(field.cluster.bootstrap, partition, made)
        except (bombs.NotTaken, TimeoutError) as error:
            raise Unexpected(f"{Unexpected.__doc__}: {error}") from error
        field.unfolding |= {(partition, offset) for offset in offsets}
        letters, places = field.watch.audit.letters, [(topics.DLQ, partition, offset) for offset in offsets]
        field.until("the dead letters", lambda: all(place in letters for place in places))
        self._recover()
        if len(field.ends) > ends:
            raise Unexpected(f"{Unexpected.__doc__}: {field.ends[ends:]} ended by it")
        wrong = [letters[place] for place in places if not UNFOLDS.search(letters[place][1])]
        if wrong:
            raise Unexpected(f"{Unexpected.__doc__}: noted, but for another reason: {wrong}")
        grown = max(peak_mb(field.workers.pid(name)) - before[name] for name in before)
        field.note(bombs_memory_mb=round(grown))
        if grown > BOMB_MB:
            raise Unexpected(f"{Unexpected.__doc__}: a worker's memory grew by {grown:.0f} MB")
        return len(offsets)

    def _do_hostile(self, step: Step) -> int:
        """Those that are good are counted once, which is seen at the end of the run."""
        records = list(payloads.hostile(self._boot(), now_ms()))
        self.field.hostile += sum(fate == payloads.COUNTED for _, fate in records)
        return self._fated(b"hostile", records)

    def _do_stale(self, step: Step) -> int:
        """A flood of measurements that are late within the horizon, and corrections; of some beyond it, and of yesterday, that
        tell of failures: those are put aside, each once, and page nobody."""
        field, begun_ms = self.field, now_ms()
        (source,) = sources_on(self.rng.randrange(PARTITIONS), PARTITIONS, self._boot(), 1)
        before = field.late()
        told = functools.partial(payloads.outcomes, source, count=step.count)
        book(field.load, source.encode(), [told(self._boot(), begun_ms - WITHIN_MS, good=True)])
        beyond = book(
            field.load, source.encode(), [told(self._boot(), begun_ms - ago, good=False) for ago in BEYOND_MS]
        )
        field.late_on_purpose += beyond
        field.until(f"{beyond} measurements put aside", lambda: field.late() >= before + beyond)
        self._recover()
        found = field.late() - before
        if found != beyond:
            raise Unexpected(f"{Unexpected.__doc__}: {found} measurements put aside as too late, {beyond} were")
        return step.count + beyond

    def _do_flood(self, step: Step) -> int:
        """More series than a worker keeps: those beyond are counted together, so that the sum stays true; and a worker says
        whose they are."""
        records = payloads.flood(self._boot(), now_ms(), step.count)
        self._publish(b"flood", [(value, "lz4") for value in records])
        self.field.flooded += step.count
        self._recover()
        named = (f"'metric': '{payloads.FLOOD}'",)
        self.field.until(
            "the metric that floods, by name", lambda: any(self.field.says(name, named) for name in WORKERS)
        )
        return step.count

    def _publish(self, key: bytes, records: Sequence[tuple[bytes, str]]) -> None:
        """Values, each with its codec, to any partitions."""
        fixed = {"bootstrap.servers": self.field.cluster.bootstrap, "acks": "all", "message.max.bytes": 8 << 20}
        producers = {codec: Producer({**fixed, "compression.type": codec}) for codec in {codec for _, codec in records}}
        for value, codec in records:
            producers[codec].produce(topics.TELEMETRY, value, key, self.rng.randrange(PARTITIONS))
        for producer in producers.values():
            producer.flush(30)


def now_ms() -> int:
    """By this machine's clock."""
    return time.time_ns() // 1_000_000
