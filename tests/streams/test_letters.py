"""The dead letter of a record of our own topics: whole, counted, and the same in each replay."""

from schemas import codec, corrupt
from schemas.corrupt import CorruptRecord
from schemas.records import DeadLetter
from streams import letters, selfmetrics, topics
from streams.limits import LETTER_DETAIL_CHARS
from streams.records import Record
from tests.cli.build import STATUS

RECORD = Record(9, 1_700_000_000_000, b"\x00broken", b"k")


def test_a_letter_holds_the_bytes_the_place_and_the_reason():
    counted = selfmetrics.REFUSED.labels(corrupt.CRC)._value.get()
    error = CorruptRecord(corrupt.CRC, 3, "x" * 2 * LETTER_DETAIL_CHARS)
    first, second = (letters.dead(topics.PARTIALS, 2, RECORD, error) for _ in range(2))
    assert first == second
    assert (first.topic, first.key, first.partition) == (topics.DLQ, b"telemetry.partials/2/9", 2)
    assert codec.decode(first.value) == DeadLetter(
        topics.PARTIALS, 2, 9, 1_700_000_000_000, corrupt.CRC, "x" * LETTER_DETAIL_CHARS, 3, b"\x00broken"
    )
    assert selfmetrics.REFUSED.labels(corrupt.CRC)._value.get() == counted + 2


def test_a_record_of_another_kind_is_named():
    error = letters.misplaced(STATUS, "partials")
    assert (error.reason, error.byte) == (corrupt.UNKNOWN_SCHEMA, 2)
    assert "SloStatus is not read here, but partials" in str(error)
