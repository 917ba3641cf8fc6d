"""Verdicts stand only for what was acknowledged."""

from __future__ import annotations

import pytest

from gateway.identity import ANYBODY, Identity
from gateway.intake import Intake
from gateway.limits import LARGE_RECORD_BYTES, SHED_FROM
from gateway.quotas import Quotas, Rates
from gateway.refusal import Refusal, busy
from gateway.verdicts import Verdict, rejected
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch, encode_event
from schemas.limits import BATCH_SERIES, LABEL_VALUE_CHARS
from schemas.records import MeasureKind
from tests.gateway.making import BASE_MS, batch


class Kept:
    """A publisher that keeps what it is given and answers as told."""

    def __init__(self) -> None:
        self.records = []
        self.for_good = {}
        self.error = None

    async def publish(self, records):
        if self.error:
            raise self.error
        self.records += records
        return self.for_good


@pytest.fixture
def kept():
    return Kept()


def statuses(verdicts: list[Verdict]) -> list[str]:
    return [verdict.status for verdict in verdicts]


async def test_good_ones_go_and_bad_ones_are_named(kept):
    given = [batch(sequence=0), b"noise", batch("other", 1), rejected("json", "x"), batch("source-1", 2)]
    verdicts = await Intake(kept).take(Identity("k", "fleet", source="source-1"), given)
    assert statuses(verdicts) == ["stored", "rejected", "rejected", "rejected", "stored"]
    assert [verdict.reason for verdict in verdicts] == ["", "framing", "source", "json", ""]
    assert kept.records == [
        (b"source-1", given[0], [("tenant", b"fleet")]),
        (b"source-1", given[4], [("tenant", b"fleet")]),
    ]


async def test_a_large_record_is_judged_beside_the_loop_and_the_same(kept, large):
    text = "x" * LABEL_VALUE_CHARS
    entries = [SeriesEntry(f"made.{n}", MeasureKind.GAUGE, labels={"a": text, "b": text}) for n in range(BATCH_SERIES)]
    good = encode_batch(
        entries, Resource(), Producer("source-1", "boot"),
        base_ms=BASE_MS, series=[0], delta_ms=[0], value=[1.0], sequence=1,
    )  # fmt: skip
    assert len(good) > LARGE_RECORD_BYTES
    given = [batch(sequence=0), good, good[:-1], b"\0" * len(good)]
    identity = Identity("k", "fleet", source="source-1")
    here = await Intake(kept).take(identity, given)
    beside = await Intake(kept, large=large).take(identity, given)
    assert here == beside
    assert statuses(here) == ["stored", "stored", "rejected", "rejected"]
    assert large._idle
    assert kept.records[:2] == kept.records[2:]


async def test_a_repeat_is_answered_and_not_sent_again(kept):
    intake = Intake(kept)
    assert statuses(await intake.take(ANYBODY, [batch(), batch()])) == ["stored", "duplicate"]
    assert statuses(await intake.take(ANYBODY, [batch(), batch(sequence=1)])) == ["duplicate", "stored"]
    assert len(kept.records) == 2


async def test_what_was_not_acknowledged_is_no_repeat(kept):
    intake = Intake(kept)
    kept.error = busy("broker", "away")
    with pytest.raises(Refusal):
        await intake.take(ANYBODY, [batch()])
    kept.error = None
    assert statuses(await intake.take(ANYBODY, [batch()])) == ["stored"]


async def test_what_the_broker_refuses_for_good_is_a_verdict(kept):
    kept.for_good = {1: "too large"}
    intake = Intake(kept)
    verdicts = await intake.take(ANYBODY, [b"noise", batch(sequence=0), batch(sequence=1)])
    assert [(verdict.status, verdict.reason) for verdict in verdicts] == [
        ("rejected", "framing"), ("stored", ""), ("rejected", "size")
    ]  # fmt: skip
    kept.for_good = {}
    assert statuses(await intake.take(ANYBODY, [batch(sequence=1)])) == ["stored"], "it was never acknowledged"


async def test_records_without_a_sequence_are_all_sent(kept):
    assert statuses(await Intake(kept).take(ANYBODY, [batch(sequence=-1)] * 2)) == ["stored", "stored"]


async def test_over_quota_is_put_off_and_not_sent(kept):
    intake = Intake(kept, Quotas(Rates(), Rates(measurements=1), 1.0))
    verdicts = await intake.take(ANYBODY, [batch("a", 0), batch("a", 1), batch("b", 0), batch("a", 0)])
    assert statuses(verdicts) == ["stored", "retry", "stored", "duplicate"]
    assert [key for key, _, _ in kept.records] == [b"a", b"b"]


async def test_while_memory_is_short_only_what_an_slo_reads_goes(kept):
    pressure = 0.0
    intake = Intake(kept, None, lambda: pressure, frozenset({"paged"}))
    assert statuses(await intake.take(ANYBODY, [batch(sequence=0)])) == ["stored"]
    pressure = SHED_FROM
    entry = SeriesEntry("paged")
    watched = encode_event(entry, Resource(), Producer("p", "b"), time_ms=BASE_MS, value=1.0, sequence=1)
    verdicts = await intake.take(ANYBODY, [batch(sequence=1), watched])
    assert [(verdict.status, verdict.reason) for verdict in verdicts] == [("retry", "shed"), ("stored", "")]
    assert statuses(await Intake(kept, None, lambda: 1.0).take(ANYBODY, [batch()])) == ["stored"], "nothing is watched"
