"""Replay: what waits in the spool goes to Kafka, oldest first, when a broker is there again.

What: one task that takes the oldest records, publishes them and waits for Kafka's word before it takes the next. Why: event
time moves on with what is read, so records of an hour ago that came behind fresh ones could be too late; therefore nothing
overtakes, and what comes in meanwhile is put behind them. The time that a record lay here is added to its clocks of
sending, or a source whose clock is right would look as if it were behind by as much. It refuses to give a record up because
Kafka is away.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from gateway import selfmetrics
from gateway.delivery import Delivery
from gateway.limits import SPOOL_LOOK_S
from gateway.refusal import Refusal
from gateway.segment import Kept
from gateway.spool import Spool
from schemas.stamps import held

log = structlog.get_logger(__name__)


async def replayed(spool: Spool, delivery: Delivery) -> None:
    """Until cancelled. A batch whose fate is unknown then is sent again after the next start, with the same ids."""
    while True:
        if delivery.away or not spool.left or not await _step(spool, delivery):
            await asyncio.sleep(SPOOL_LOOK_S)


def _sent_now(kept: Kept) -> bytes:
    """The record, with its clocks of sending as they are now."""
    return held(kept.value, time.time_ns() // 1_000_000 - kept.received_ms)


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
        refused = await delivery.publish([(kept.key, _sent_now(kept), [("tenant", kept.tenant)]) for kept in records])
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
