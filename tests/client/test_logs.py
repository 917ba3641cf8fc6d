"""Logs: counts by level, and nothing of what is said."""

from __future__ import annotations

import logging

from tocsin import Client, MemoryTransport
from tocsin.logs import LogCounts

from demo.wire import read_batch


def test_records_are_counted_by_level_and_their_text_stays() -> None:
    transport = MemoryTransport()
    logger = logging.Logger("shop", logging.DEBUG)  # noqa: LOG001 - one of its own, beside the process'
    with Client(source="s", service="x", transport=transport, flush_interval=3600) as made:
        logger.addHandler(LogCounts(made))
        logger.addHandler(LogCounts(made, "log.alarms", logging.ERROR))
        for _ in range(3):
            logger.error("s3cret %s", "s3cret")
        try:
            raise KeyError("s3cret")
        except KeyError:
            logger.exception("s3cret")
        logger.debug("s3cret")
        logger.log(35, "between warning and error")
    counts = {}
    for _, value in transport.records:
        assert b"s3cret" not in value
        batch = read_batch(value)
        for place, amount in zip(batch.series.tolist(), batch.value.tolist(), strict=True):
            name, _, _, _, labels = batch.identities[place]
            counts[name, dict(labels)["level"]] = amount
    assert counts == {
        ("log.records", "error"): 4.0,
        ("log.records", "debug"): 1.0,
        ("log.records", "warning"): 1.0,
        ("log.alarms", "error"): 4.0,
    }
