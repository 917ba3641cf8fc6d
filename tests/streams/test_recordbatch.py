"""Record batches to columns: as aiokafka's own parser reads them, and refused where the bytes do not add up."""

import struct

import pytest
from aiokafka.record._crecords import default_records
from hypothesis import given
from hypothesis import strategies as st

from schemas.chunk import PADDING
from streams.decompression import decoders
from streams.recordbatch import Batch, Batches, MalformedBatch, record_bounds
from streams.records import Record
from tests.streams.recordbatches import CODECS, batch, signed

DECODERS = decoders(8 << 20)
ATTRIBUTES_AT, MAX_TIMESTAMP_AT, COUNT_AT, HEADER = 21, 35, 57, 61
PARTS = st.none() | st.binary(max_size=300)


def ours(made: bytes) -> list[Record]:
    return list(Batch(memoryview(bytes(made))).records(DECODERS))


def theirs(made: bytes) -> list[Record]:
    return [
        Record(r.offset, r.timestamp, r.value or b"", r.key) for r in default_records.DefaultRecordBatch(bytes(made))
    ]


@given(
    st.lists(
        st.tuples(PARTS, PARTS, st.integers(-(2**40), 2**40), st.lists(st.tuples(st.text(max_size=5), PARTS))),
        min_size=1,
    ),
    st.sampled_from([0, *CODECS.values()]),
    st.integers(0, 2**40),
)
def test_they_are_read_as_aiokafka_reads_them(rows, codec, base):
    builder = default_records.DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 28)
    for index, (key, value, time, headers) in enumerate(rows):
        builder.append(index, 1_700_000_000_000 + time, key, value, headers)
    made = bytearray(builder.build())
    struct.pack_into(">q", made, 0, base)
    assert ours(made) == theirs(made)
    assert Batch(memoryview(bytes(made))).validate_crc()


@pytest.mark.parametrize("codec", [0, *CODECS.values()])
def test_a_batch_that_compaction_emptied_has_no_records(codec):
    made = batch(7, [])
    struct.pack_into(">h", made, ATTRIBUTES_AT, codec)
    assert ours(made) == []


def test_lengths_of_one_to_four_bytes():
    made = batch(5, [b"", b"x" * 40, b"x" * 60, b"x" * 9_000, b"x" * 1_100_000], keys=[None, b"", b"k", None, b"kk"])
    assert ours(made) == theirs(made)


def test_arrival_is_the_batch_s_where_the_broker_stamps_it():
    made = batch(0, [b"a", b"b"])
    struct.pack_into(">h", made, ATTRIBUTES_AT, 8)
    struct.pack_into(">q", made, MAX_TIMESTAMP_AT, 777)
    assert [record.timestamp_ms for record in ours(made)] == [777, 777]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_damage_is_refused_or_reads_whole_records(values, data):
    made = batch(0, values)
    place = data.draw(st.integers(HEADER, len(made) - 1))
    made[place] = data.draw(st.integers(0, 255))
    try:
        found = ours(made)
    except MalformedBatch:
        return
    assert len(found) == len(values)


@pytest.mark.parametrize("count", [-1, 1, 3, 2**31 - 1])
def test_another_count_than_there_are_records_is_refused(count):
    made = batch(0, [b"a", b"b"])
    struct.pack_into(">i", made, COUNT_AT, count)
    with pytest.raises(MalformedBatch):
        ours(made)


LONG = b"\x8d\x80\x80\x00" + bytes(6)  # 13, in four bytes: -7 with its sign


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x01" * 20, bytes([0x80] * 20), b"\x7e" + bytes(10), bytes(5)])
def test_lengths_that_lead_nowhere_are_refused(data):
    with pytest.raises(MalformedBatch):
        record_bounds(data + PADDING, 2)


@pytest.mark.parametrize("data", [(b"\x0d" + bytes(6)) * 2, b"\x0c" + bytes(6) + LONG])
def test_a_negative_length_is_refused_although_the_bytes_add_up(data):
    with pytest.raises(MalformedBatch, match="negative"):
        record_bounds(data + PADDING, 2)


def test_other_formats_and_codecs_are_refused():
    made = batch(0, [b"a"])
    made[16] = 1
    with pytest.raises(MalformedBatch, match="message format 1"):
        ours(made)
    made = batch(0, [b"a"])
    struct.pack_into(">h", made, ATTRIBUTES_AT, 7)
    with pytest.raises(MalformedBatch, match="unknown compression 7"):
        ours(made)


def test_a_wrong_checksum_is_seen():
    made = batch(0, [b"a"])
    made[-1] ^= 1
    assert not Batch(memoryview(bytes(made))).validate_crc()
    assert Batch(memoryview(bytes(signed(made)))).validate_crc()


def test_a_fetch_is_cut_into_batches_and_a_cut_off_one_is_left():
    first, second = bytes(batch(0, [b"a", b"b"])), bytes(batch(2, [b"c"]))
    for cut in range(len(second)):
        batches = Batches(first + second[:cut])
        assert batches.next_batch().next_offset == 2
        assert not batches.has_next()
    batches = Batches(first + second)
    assert [batches.next_batch().base_offset for _ in range(2)] == [0, 2]
    assert not batches.has_next()
    assert batches.size_in_bytes() == len(first) + len(second)
