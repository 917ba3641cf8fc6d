"""Intake: framed records in, one verdict for each out, and in between the broker's word.

What: what every protocol ends in: judge each record, leave out repeats, publish the good ones by source, wait for all
acknowledgements; without a broker, have them on the spool's disk, if there is one. Why: the promise behind 2xx is kept in
one place, whichever door the records came through. It refuses to answer for a part: where one good record is not
acknowledged, the whole request is refused, and sent again; and to overtake what waits in the spool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from gateway import selfmetrics
from gateway.delivery import BROKER, Outgoing
from gateway.identity import Identity
from gateway.large import Large
from gateway.limits import LARGE_RECORD_BYTES, SHED_FROM, SHED_RETRY_S
from gateway.quotas import Quotas, Rates
from gateway.recent import Key, Recent
from gateway.refusal import Refusal
from gateway.segment import Kept
from gateway.spool import Spool
from gateway.turn import Turn
from gateway.verdicts import DUPLICATE, SPOOLED, STORED, Record, Verdict, judged, judging, rejected, retry
from schemas import corrupt


class Publisher(Protocol):
    """What Delivery offers."""

    async def publish(self, records: list[Outgoing]) -> dict[int, str]:
        """See Delivery."""


class Intake:
    """One for all protocols."""

    def __init__(
        self,
        delivery: Publisher,
        quotas: Quotas | None = None,
        pressure: Callable[[], float] = lambda: 0.0,
        watched: frozenset[str] = frozenset(),
        spool: Spool | None = None,
        large: Large | None = None,
    ) -> None:
        """`pressure`: how full the memory is, 0 to 1. `watched`: metrics that an SLO reads; none: nothing is shed.

        `large`: who judges large records; none: they are judged here.
        """
        self._delivery = delivery
        self._quotas = quotas or Quotas(Rates(), Rates(), 1.0)
        self._pressure = pressure
        self._watched = watched
        self._spool = spool
        self._large = large
        self._recent = (Recent(), Recent())  # of telemetry, of logs: a source counts them apart

    def admit(self, identity: Identity, size: int) -> None:
        """A request of so many declared bytes, before its body is read. Raises Refusal (429)."""
        self._quotas.request(identity, size)

    def read(self, identity: Identity, size: int) -> None:
        """So many bytes of it were not declared."""
        self._quotas.more(identity, size)

    async def take(self, identity: Identity, records: Iterable[bytes | Verdict]) -> list[Verdict]:
        """Verdicts in order, once Kafka has acknowledged. A Verdict among `verdicts` stays as it is. Raises Refusal."""
        found: list[Record | Verdict] = []
        turn = Turn()
        for given in records:
            await turn.next()  # judging is work
            found.append(given if isinstance(given, Verdict) else await self._judged(given, identity))
        verdicts, places = self._sorted_out(identity, found)
        good = [record for place in places if isinstance(record := found[place], Record)]
        for_good, status = await self._accepted(identity, good)
        for number, (place, record) in enumerate(zip(places, good, strict=True)):
            if number in for_good:
                verdicts[place] = rejected(corrupt.SIZE, for_good[number])
                continue
            verdicts[place] = Verdict(status[number])
            self._recent[record.logs].add(_key(identity, record))
            if status[number] == STORED:
                (selfmetrics.LOG_RECORDS if record.logs else selfmetrics.MEASUREMENTS).inc(record.measurements)
        for verdict in verdicts:
            selfmetrics.RECORDS.labels(verdict.status, verdict.reason).inc()
        return verdicts

    async def _judged(self, data: bytes, identity: Identity) -> Record | Verdict:
        """Raises Refusal."""
        if self._large is None or len(data) <= LARGE_RECORD_BYTES:
            return judged(data, identity)
        (found,) = await self._large.read(identity.tenant, judging, data, identity)
        return found

    async def _accepted(self, identity: Identity, good: list[Record]) -> tuple[dict[int, str], list[str]]:
        """(those that Kafka refuses for good, by place; what became of each other: STORED or SPOOLED). Raises Refusal.

        Log records never wait in the spool: a topic of theirs that is missing must not hold up measurements.
        """
        if not good:
            return {}, []
        tenant = identity.tenant.encode()
        outgoing: list[Outgoing] = [(record.key, record.value, [("tenant", tenant)]) for record in good]
        logs = [place for place, record in enumerate(good) if record.logs]
        if self._spool is None or len(logs) == len(good):
            return await self._delivery.publish(outgoing), [STORED] * len(good)
        if not self._spool.left:
            try:
                return await self._delivery.publish(outgoing), [STORED] * len(good)
            except Refusal as refusal:
                if refusal.reason != BROKER:
                    raise
        refused = await self._delivery.publish([outgoing[place] for place in logs]) if logs else {}
        waiting = [record for record in good if not record.logs]
        await self._spool.keep([Kept(r.key, tenant, r.value, r.measurements, _now_ms()) for r in waiting])
        statuses = [STORED if record.logs else SPOOLED for record in good]
        return {logs[place]: why for place, why in refused.items()}, statuses

    def _sorted_out(self, identity: Identity, found: list[Record | Verdict]) -> tuple[list[Verdict], list[int]]:
        """(verdicts if all goes well, places of the records to send)."""
        verdicts: list[Verdict] = []
        places: list[int] = []
        mine: tuple[set[Key], set[Key]] = (set(), set())
        for place, record in enumerate(found):
            if isinstance(record, Verdict):
                verdicts.append(record)
                continue
            key = _key(identity, record)
            if key in self._recent[record.logs] or key in mine[record.logs]:
                verdicts.append(Verdict(DUPLICATE))
                continue
            against = self._shed(record) or self._quotas.record(identity, record)
            if against is not None:
                verdicts.append(against)
                continue
            if record.sequence >= 0:
                mine[record.logs].add(key)
            verdicts.append(Verdict(STORED))
            places.append(place)
        return verdicts, places

    def _shed(self, record: Record) -> Verdict | None:
        """A verdict against what no SLO reads, while memory is short."""
        if not self._watched or self._pressure() < SHED_FROM or record.metrics & self._watched:
            return None
        return retry("shed", "the gateway is busy; what SLOs read goes first", SHED_RETRY_S)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _key(identity: Identity, record: Record) -> Key:
    return identity.tenant, record.source, record.boot, record.sequence
