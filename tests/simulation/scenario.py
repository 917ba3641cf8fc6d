"""What the fleet does in a run: sources that emit, repeat, swap and come late, and an outage of one service.

Event time runs twenty times as fast as the clock, so that an alert rises and clears within seconds of the world. What is
sent does not depend on the faults: two runs of one scenario read the same telemetry.
"""

from __future__ import annotations

import functools
import random
from typing import NamedTuple

from alerts.selection import Selection
from demo.ledger import Ledger
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch
from schemas.records import MeasureKind, SourceKind
from tests.alerts.simulate import config_of, slo_text

T0 = 1_800_000_000_000
SPEED = 20
SCENARIOS = 8
PARTITIONS = 2
EVERY_S = 0.3
ENDS_S = 8.5  # faults end at 5.5: what they held up is told while there is still traffic
OUTAGE_S = (1.2, 4.2)
HALF_S = 2.4  # in every other scenario what one source partition sees of the outage is over by then
BROKEN, SOUND = "shop", "cart"
MARKER = "end.marker"
CONFIG = config_of(slo_text("availability", target="0.99", period="1h", group_by="[service]"))
SELECTION = Selection(CONFIG)
REQUEST = SeriesEntry("http.request", MeasureKind.OUTCOME, "1", {})
SIZE = SeriesEntry("http.size", MeasureKind.HISTOGRAM, "By", {"route": "/a"})
BYTES = SeriesEntry("http.bytes", MeasureKind.COUNTER, "By", {})


class Sent(NamedTuple):
    """A record on its way to a partition of the telemetry."""

    at_s: float
    partition: int
    value: bytes


class Source:
    """One producer: a partition, a service, a kind, its own sequence."""

    def __init__(self, name: str, partition: int, service: str, kind: SourceKind) -> None:
        self.partition, self.service, self.kind, self._sequence = partition, service, kind, 0
        self._resource = Resource(service, "1", "", "eu", kind, {})
        self._producer = Producer(name, "boot")

    def record(self, dice: random.Random, at_ms: int, good: int, entries: tuple = (REQUEST, SIZE, BYTES)) -> bytes:
        """A batch at an event time; `good` is the outcome of its requests."""
        series = [place for place, entry in enumerate(entries) for _ in range(6 if entry is REQUEST else 1)]
        value = encode_batch(
            list(entries), self._resource, self._producer, base_ms=at_ms, series=series,
            delta_ms=[dice.randrange(1_500) for _ in series], value=[dice.randrange(1_000) for _ in series],
            outcome=[good if entries[place] is REQUEST else 2 for place in series], sequence=self._sequence,
        )  # fmt: skip
        self._sequence += 1
        return value


@functools.cache
def telemetry(number: int) -> tuple[Sent, ...]:
    """Everything that is sent in a scenario, in the order of time, repeats included."""
    dice = random.Random(f"scenario {number}")
    sources = [
        Source("shop-0", 0, BROKEN, SourceKind.WEB),
        Source("shop-1", 1, BROKEN, SourceKind.WEB),
        Source("cart-0", dice.randrange(PARTITIONS), SOUND, SourceKind.DESKTOP),
        Source("van-0", dice.randrange(PARTITIONS), "van", SourceKind.VEHICLE),
    ]
    found: list[Sent] = []
    for source in sources:
        at_s, ends_s = dice.uniform(0.1, 0.3), HALF_S if number % 2 and source.partition == 0 else OUTAGE_S[1]
        while at_s < ENDS_S:
            event_ms = T0 + int(at_s * 1000 * SPEED)
            bad = source.service == BROKEN and OUTAGE_S[0] <= at_s < ends_s
            if source.kind != SourceKind.WEB:  # late, beyond the horizon, from the future
                event_ms += dice.choice((0, 0, 0, -30_000, -100_000, -4_000_000, 4_000_000))
            value = source.record(dice, event_ms, 0 if bad else 1)
            swap = dice.uniform(0, 0.6) if dice.random() < 0.1 and not bad else 0.0
            found.append(Sent(at_s + swap, source.partition, value))
            if dice.random() < 0.2:  # its acknowledgement was lost, so it is sent again
                found.append(Sent(at_s + swap + dice.uniform(0.01, 1.5), source.partition, value))
            at_s += EVERY_S * dice.uniform(0.8, 1.2)
    return tuple(sorted(found))


@functools.cache
def truth(number: int) -> dict:
    """The cells of a scenario: each record counts once."""
    ledger = Ledger()
    for sent in telemetry(number):
        ledger.settle(ledger.intend(sent.value), None)
    return ledger.snapshot()


@functools.cache
def markers() -> tuple[Sent, ...]:
    """Records that move event time past every window, so that all of them close; they are no part of the truth."""
    dice, entries = random.Random(0), (SeriesEntry(MARKER, MeasureKind.GAUGE, "1", {}),)
    return tuple(
        Sent(ENDS_S + 2.0, p, Source(f"end-{p}-{k}", p, "end", k).record(dice, T0 + 900_000, 1, entries))
        for p in range(PARTITIONS)
        for k in SourceKind
    )
