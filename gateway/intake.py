"""Intake: framed records in, one verdict for each out, and in between the broker's word.

What: what every protocol ends in: judge each record, leave out repeats, publish the good ones by source, wait for all
acknowledgements. Why: the promise behind 200 is kept in one place, whichever door the records came through. It refuses
to answer for a part: where one good record is not acknowledged, the whole request is refused, and sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from gateway import selfmetrics
from gateway.delivery import Outgoing
from gateway.identity import Identity
from gateway.limits import TURN_RECORDS
from gateway.recent import Recent
from gateway.verdicts import ACCEPTED, DUPLICATE, Record, Verdict, judged, refused
from schemas import corrupt


class Publisher(Protocol):
    """What Delivery offers."""

    async def publish(self, records: list[Outgoing]) -> dict[int, str]:
        """See Delivery."""


class Intake:
    """One for all protocols."""

    def __init__(self, delivery: Publisher) -> None:
        self._delivery = delivery
        self._recent = Recent()

    async def take(self, identity: Identity, records: Iterable[bytes | Verdict]) -> list[Verdict]:
        """Verdicts in order, once Kafka has acknowledged. A Verdict among `records` stays as it is. Raises Refusal."""
        found: list[Record | Verdict] = []
        for number, given in enumerate(records, 1):
            found.append(given if isinstance(given, Verdict) else judged(given, identity))
            if number % TURN_RECORDS == 0:
                await asyncio.sleep(0)  # judging is work, and the loop is everybody's
        verdicts, places = self._sorted_out(identity, found)
        good = [record for place in places if isinstance(record := found[place], Record)]
        headers = [("tenant", identity.tenant.encode())]
        for_good = await self._delivery.publish([(record.source.encode(), record.value, headers) for record in good])
        for number, (place, record) in enumerate(zip(places, good, strict=True)):
            if number in for_good:
                verdicts[place] = refused(corrupt.SIZE, for_good[number])
                continue
            self._recent.add(_key(identity, record))
            selfmetrics.MEASUREMENTS.inc(record.measurements)
        for verdict in verdicts:
            selfmetrics.RECORDS.labels(verdict.status, verdict.reason).inc()
        return verdicts

    def _sorted_out(self, identity: Identity, found: list[Record | Verdict]) -> tuple[list[Verdict], list[int]]:
        """(verdicts if all goes well, places of the records to send)."""
        verdicts: list[Verdict] = []
        places: list[int] = []
        mine = set()
        for place, record in enumerate(found):
            if isinstance(record, Verdict):
                verdicts.append(record)
                continue
            key = _key(identity, record)
            if key in self._recent or key in mine:
                verdicts.append(Verdict(DUPLICATE))
                continue
            if record.sequence >= 0:
                mine.add(key)
            verdicts.append(Verdict(ACCEPTED))
            places.append(place)
        return verdicts, places


def _key(identity: Identity, record: Record) -> tuple[str, str, str, int]:
    return identity.tenant, record.source, record.boot, record.sequence
