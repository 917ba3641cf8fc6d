"""Each payload is what its name says, by readers that share no code with the product."""

from __future__ import annotations

import math

import pytest
from tocsin import Client, MemoryTransport

from demo.wire import NotARecord, read_batch
from proof import payloads

NOW_MS = 1_700_000_000_000


def good_record() -> bytes:
    kept = MemoryTransport()
    with Client(transport=kept, kind="web", service="shop", source="s-1", flush_interval=60.0, report=False) as client:
        client.outcome("m").observe(good=True, value=3.0, time_ms=NOW_MS)
    return kept.records[0][1]


def test_poison_is_no_record() -> None:
    records = payloads.poison(good_record())
    assert len(set(records)) == 12
    refused = 0
    for value in records:
        try:
            read_batch(value)
        except NotARecord:
            refused += 1
    assert refused >= 10  # an id that no registry knows, and a byte turned over, are for the platform to find out


def test_hostile_numbers_come_now_and_in_the_year_9999() -> None:
    batches = [read_batch(value) for value in payloads.hostile("b", NOW_MS)]
    assert len({(batch.boot, batch.sequence) for batch in batches}) == len(batches) == 2 * len(payloads.HOSTILE_VALUES)
    assert {int(batch.time_ms[0]) for batch in batches} == {NOW_MS, payloads.YEAR_9999_MS}
    assert any(math.isnan(batch.value[0]) for batch in batches)
    assert {batch.identities[0][0] for batch in batches} <= payloads.APART


@pytest.mark.parametrize("count", [1, 500, 1_201])
def test_a_flood_is_so_many_series_of_one_measurement_each(count: int) -> None:
    batches = [read_batch(value) for value in payloads.flood("b", NOW_MS, count)]
    series = {identity for batch in batches for identity in batch.identities}
    assert len(series) == sum(len(batch.series) for batch in batches) == count
    assert {identity[0] for identity in series} <= payloads.APART
