"""Other forms of what a broker refuses: the same rows and bytes, in halves; or a dead letter; never nothing."""

import dataclasses

import pytest

from rollups.limits import NEVER
from schemas import codec
from schemas.cells import Cells
from schemas.records import DeadLetter, LateRecord, PartialBatch, RollupBatch
from streams import refused, selfmetrics, topics
from streams.errors import OutputRefused
from streams.limits import LETTER_BYTES_LEAST
from streams.producer import Outgoing
from tests.cli.build import ALERT
from tests.rollups.partials import SERIES, T0, Point, Writer

LOG = [Point(number % len(SERIES), T0 + number * 700, 1.5 + number) for number in range(60)]
BATCH = Writer(1).write(LOG, 59, T0 + 60_000)
LETTER = DeadLetter(topics.TELEMETRY, 1, 7, T0, "size", "too long", -1, bytes(range(250)) * 4)


def halves(topic: str, record, key: bytes = b"k") -> list:
    found = refused.instead(Outgoing(topic, key, codec.encode(record), 3), "too large")
    assert [(out.topic, out.partition) for out in found] == [(topic, 3)] * 2
    assert [out.key for out in found] == [key + b".0", key + b".1"]
    return [codec.decode(out.value) for out in found]


def rows(cells: Cells) -> list[tuple]:
    return sorted(
        (cells.definition(at), int(cells.pane_ms[at]), int(cells.flags[at]), int(cells.count[at]))
        for at in range(len(cells))
    )


def test_a_partial_leaves_in_two_and_the_second_alone_moves_time():
    counted = selfmetrics.OUTPUTS_REFUSED.labels(topics.PARTIALS)._value.get()
    first, last = halves(topics.PARTIALS, BATCH)
    assert isinstance(first, PartialBatch)
    assert rows(Cells.concatenate([first.cells, last.cells])) == rows(BATCH.cells)
    assert {*first.watermarks, *first.max_event_ms, first.now_ms} == {NEVER}
    assert (first.partition, first.as_of) == (1, BATCH.as_of)
    assert dataclasses.replace(last, cells=BATCH.cells) == BATCH
    assert selfmetrics.OUTPUTS_REFUSED.labels(topics.PARTIALS)._value.get() == counted + 1


def test_a_rollup_leaves_in_two_with_keys_of_their_own():
    whole = RollupBatch(10_000, T0, 1, 4, (T0,) * 4, BATCH.cells)
    found = halves(topics.ROLLUPS, whole, b"10000/1/1/4")
    assert rows(Cells.concatenate([half.cells for half in found])) == rows(BATCH.cells)
    assert {half.batch for half in found} == {4}


@pytest.mark.parametrize("form", [DeadLetter, LateRecord])
def test_a_letter_keeps_every_byte(form):
    whole = form(**{f.name: getattr(LETTER, f.name) for f in dataclasses.fields(LETTER)})
    first, last = halves(topics.DLQ, whole)
    assert first.original + last.original == LETTER.original
    assert [half.detail for half in (first, last)] == ["half 1 of 2, too long", "half 2 of 2, too long"]
    assert (first.source_topic, first.partition, first.offset) == (topics.TELEMETRY, 1, 7)


@pytest.mark.parametrize("value", [codec.encode(ALERT), b"a command in a framing of its own"])
def test_what_has_no_halves_becomes_a_dead_letter(value):
    (out,) = refused.instead(Outgoing(topics.ALERTS, b"\x01", value, 2), "too large")
    letter = codec.decode(out.value)
    assert (out.topic, out.partition, out.key) == (topics.DLQ, 2, b"alerts/\x01")
    assert (letter.source_topic, letter.reason, letter.detail) == (topics.ALERTS, refused.REASON, "key 01: too large")
    assert letter.original == value


def test_halving_comes_to_an_end():
    waiting, done = [Outgoing(topics.PARTIALS, b"k", codec.encode(BATCH), 0)], []
    while waiting:
        record = waiting.pop()
        try:
            waiting += refused.instead(record, "too large")
        except OutputRefused:
            done.append(codec.decode(record.value))
    assert all(isinstance(one, DeadLetter) and len(one.original) <= LETTER_BYTES_LEAST for one in done)


@pytest.mark.parametrize(
    "record",
    [
        Outgoing(topics.STATE_PREFIX + "merge", b"k", b"a part of a snapshot", 0),
        Outgoing(topics.SLO_STATUS, b"k", None, 0),
        Outgoing(topics.DLQ, b"k", codec.encode(dataclasses.replace(LETTER, original=b"x")), 0),
    ],
)
def test_what_has_no_other_form_is_for_a_person(record):
    with pytest.raises(OutputRefused, match=r"max\.message\.bytes"):
        refused.instead(record, "too large")
