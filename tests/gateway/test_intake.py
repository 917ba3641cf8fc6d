"""Verdicts stand only for what was acknowledged."""

from __future__ import annotations

import pytest

from gateway.identity import ANYBODY, Identity
from gateway.intake import Intake
from gateway.refusal import Refusal, busy
from gateway.verdicts import Verdict, refused
from tests.gateway.making import batch


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
    given = [batch(sequence=0), b"noise", batch("other", 1), refused("json", "x"), batch("source-1", 2)]
    verdicts = await Intake(kept).take(Identity("k", "fleet", source="source-1"), given)
    assert statuses(verdicts) == ["accepted", "refused", "refused", "refused", "accepted"]
    assert [verdict.reason for verdict in verdicts] == ["", "framing", "source", "json", ""]
    assert kept.records == [
        (b"source-1", given[0], [("tenant", b"fleet")]),
        (b"source-1", given[4], [("tenant", b"fleet")]),
    ]


async def test_a_repeat_is_answered_and_not_sent_again(kept):
    intake = Intake(kept)
    assert statuses(await intake.take(ANYBODY, [batch(), batch()])) == ["accepted", "duplicate"]
    assert statuses(await intake.take(ANYBODY, [batch(), batch(sequence=1)])) == ["duplicate", "accepted"]
    assert len(kept.records) == 2


async def test_what_was_not_acknowledged_is_no_repeat(kept):
    intake = Intake(kept)
    kept.error = busy("broker", "away")
    with pytest.raises(Refusal):
        await intake.take(ANYBODY, [batch()])
    kept.error = None
    assert statuses(await intake.take(ANYBODY, [batch()])) == ["accepted"]


async def test_what_the_broker_refuses_for_good_is_a_verdict(kept):
    kept.for_good = {1: "too large"}
    intake = Intake(kept)
    verdicts = await intake.take(ANYBODY, [b"noise", batch(sequence=0), batch(sequence=1)])
    assert [(verdict.status, verdict.reason) for verdict in verdicts] == [
        ("refused", "framing"), ("accepted", ""), ("refused", "size")
    ]  # fmt: skip
    kept.for_good = {}
    assert statuses(await intake.take(ANYBODY, [batch(sequence=1)])) == ["accepted"], "it was never acknowledged"


async def test_records_without_a_sequence_are_all_sent(kept):
    assert statuses(await Intake(kept).take(ANYBODY, [batch(sequence=-1)] * 2)) == ["accepted", "accepted"]
