"""Booked: batches that no client made, sent and in the ledger as any other.

What: intent, send, fate, and again until that is definite. Why: what is far too much at once, or of yesterday, comes from
no client of ours, and must not be lost either. It refuses to give up quietly: what is not acknowledged is an error.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tocsin.kafka import KafkaTransport

from demo.ledger import LedgerTransport
from demo.wire import read_batch
from proof.intent import SETTLE_S, JournalTransport, Load

TRIES = 5
#: Of a producer: much in one of Kafka's own batches, which may be as large as brokers take them.
WIDE = {"message.timeout.ms": 5_000, "linger.ms": 200, "batch.size": 8 << 20, "message.max.bytes": 8 << 20}


def book(load: Load, key: bytes, values: Sequence[bytes]) -> int:
    """Send these batches until each is acknowledged; how many measurements they are. Raises TimeoutError."""
    booked = LedgerTransport(JournalTransport(KafkaTransport(load.bootstrap, config=WIDE), load.journal), load.ledger)
    measurements = sum(len(read_batch(value).series) for value in values)
    load.made += measurements
    left = dict(enumerate(values))

    def settled(number: int, error: Exception | None) -> None:
        if error is None:
            left.pop(number, None)

    for _ in range(TRIES):
        for number, value in tuple(left.items()):
            booked.send(key, value, functools.partial(settled, number))
        booked.flush(SETTLE_S)
        if not left:
            return measurements
    raise TimeoutError(f"{len(left)} batches were not acknowledged")
