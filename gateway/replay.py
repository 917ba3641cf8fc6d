"""Replay: what waits in the spool goes to Kafka, oldest first, when a broker is there again.

What: one task that takes the oldest records, publishes them and waits for Kafka's word before it takes the next. Why: event
time moves on with what is read, so records of an hour ago that came behind fresh ones could be too late; therefore nothing
overtakes, and what comes in meanwhile is put behind them. It refuses to give a record up because Kafka is away.
"""

from __future__ import annotations

import asyncio

import structlog

from gateway import selfmetrics
from gateway.delivery import Delivery
from gateway.limits import SPOOL_LOOK_S
from gateway.refusal import Refusal
from gateway.spool import Spool

log = structlog.get_logger(__name__)


async def replayed(spool: Spool, delivery: Delivery) -> None:
    """Until cancelled. A batch whose fate is unknown then is sent again after the next start, with the same ids."""
    while True:
        if delivery.away or not spool.left or not await _step(spool, delivery):
            await asyncio.sleep(SPOOL_LOOK_S)


async def _step(spool: Spool, delivery: Delivery) -> bool:
    """Send some; whether there were any, and Kafka has them."""
    try:
        records = await asyncio.to_thread(spool.oldest)
    except OSError:
        log.exception("spool_unreadable")
        return False
    if not records:
        return False
    try:
        refused = await delivery.publish([(kept.key, kept.value, [("tenant", kept.tenant)]) for kept in records])
    except Refusal as refusal:
        log.info("replay_waits", why=refusal.reason)
        return False
    for place, why in refused.items():
        log.warning("replay_refused", source=records[place].key.decode(errors="replace"), why=why)
    selfmetrics.SPOOL_DROPPED.labels("refused").inc(len(refused))
    selfmetrics.SPOOL_SENT.inc(len(records) - len(refused))
    selfmetrics.MEASUREMENTS.inc(sum(k.measurements for place, k in enumerate(records) if place not in refused))
    await asyncio.to_thread(spool.sent)
    return True
