"""Each payload is what its name says, by readers that share no code with the product."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import pytest

from demo.wire import NotARecord, read_batch
from proof import payloads
from schemas.telemetry import TelemetryDecoder

NOW_MS = 1_700_000_000_000


def test_poison_is_no_record() -> None:
    records = payloads.poison("b", NOW_MS)
    assert len({value[:256] for value, _ in records}) == 12
    refused = 0
    for value, _ in records:
        try:
            assert {identity[0] for identity in read_batch(value).identities} <= payloads.APART
        except NotARecord:
            refused += 1
    assert refused == 9  # ids that no registry knows, and a checksum, are for the platform to find out


def test_what_is_refused_is_refused_for_the_reason_beside_it() -> None:
    decoder = TelemetryDecoder(lambda *of: 0)
    for value, fate in [*payloads.poison("b", NOW_MS), *payloads.hostile("b", NOW_MS)]:
        decoded = decoder.decode([(0, NOW_MS, value)])
        assert [one.reason for one in decoded.refused] == ([fate] if fate not in ("", "future") else [])
        assert len(decoded.measurements.time_ms) == (fate in ("", "future"))


def test_a_trap_that_is_unpickled_leaves_a_trace(tmp_path: Path) -> None:
    trap = payloads.trap(tmp_path / "trace")
    (refused,) = TelemetryDecoder(lambda *of: 0).decode([(0, NOW_MS, trap)]).refused
    assert refused.reason == "framing"
    assert not (tmp_path / "trace").exists()
    pickle.loads(trap)  # what nobody may do
    assert (tmp_path / "trace").exists()


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
