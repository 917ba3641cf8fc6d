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


def test_hostile_records_say_who_sent_them_as_long_as_they_are_text() -> None:
    records = list(payloads.hostile("b", NOW_MS))
    assert len({value[:256] for value, _ in records}) == len(records)  # as much of each as is kept of a letter
    batches = [read_batch(value) for value, fate in records if fate != "utf8"]
    assert {int(batch.time_ms[0]) for batch in batches} == {NOW_MS, payloads.YEAR_9999_MS, -1}
    assert any(math.isnan(batch.value[0]) for batch in batches)
    assert {batch.identities[0][0] for batch in batches} <= payloads.APART
    assert {dict(batch.identities[0][4])["of"] for batch in batches} >= {"\0", "\u202eabc", "x\n# HELP y"}
    for value, fate in records:
        if fate == "utf8":
            with pytest.raises(NotARecord, match="no UTF-8"):
                read_batch(value)


def test_outcomes_are_all_good_or_all_bad_and_within_ten_seconds() -> None:
    for good in (True, False):
        batch = read_batch(payloads.outcomes("s", "b", NOW_MS, 25, good))
        assert set(batch.outcome.tolist()) == {int(good)}
        assert batch.time_ms.min() == NOW_MS
        assert batch.time_ms.max() < NOW_MS + 10_000
        assert batch.identities == [("http.request", "outcome", "1", "web", (("service", "s"),))]


@pytest.mark.parametrize("count", [1, 500, 1_201])
def test_a_flood_is_so_many_series_of_one_measurement_each(count: int) -> None:
    batches = [read_batch(value) for value in payloads.flood("b", NOW_MS, count)]
    series = {identity for batch in batches for identity in batch.identities}
    assert len(series) == sum(len(batch.series) for batch in batches) == count
    assert {identity[0] for identity in series} <= payloads.APART
