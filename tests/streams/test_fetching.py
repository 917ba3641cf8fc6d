"""Fetches: bombs and torn batches are stepped over, pieces are bounded; on batches that aiokafka's builder made."""

import struct

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams import fetching
from tests.streams.recordbatches import CODECS, batch, signed

LIMIT = 8 << 20


@pytest.fixture(autouse=True)
def bounds(monkeypatch):
    for name in ("MemoryRecords", "PartitionRecords", "FetchResult"):
        monkeypatch.setattr(fetcher, name, getattr(fetcher, name))
    monkeypatch.setattr(fetching.BoundedResult, "max_bytes", fetching.BoundedResult.max_bytes)
    monkeypatch.setattr(fetching.BoundedRecords, "decoders", {}, raising=False)
    fetching.bound(LIMIT)


def reader(*batches: bytes, fetch_offset: int = 0) -> fetching.BoundedRecords:
    raw = b"".join(bytes(one) for one in batches)
    found = fetcher.PartitionRecords(
        TopicPartition("telemetry", 1), fetcher.MemoryRecords(raw), [], fetch_offset, None, None, True, 0
    )
    assert isinstance(found, fetching.BoundedRecords)
    return found


def everything(found: fetching.BoundedRecords, max_records: int = 1 << 60, max_bytes: int = 1 << 60):
    taken = []
    while not found.done:
        taken.append(found.take(max_records, max_bytes))
    return taken


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_becomes_one_note_and_the_partition_moves_on(codec):
    bomb = batch(2, [bytes(12 << 20), b"x"], CODECS[codec])
    ordinary = batch(0, [b"a", b"b"], CODECS[codec]), batch(4, [b"c"], CODECS[codec])
    (taken,) = everything(found := reader(ordinary[0], bomb, ordinary[1]))
    assert [r.offset for r in taken] == [0, 1, 3, 4]
    assert [r.value for r in taken if r.offset != 3] == [b"a", b"b", b"c"]
    note = taken[2].value
    assert note.startswith(fetching.REFUSED_BATCH)
    assert b"telemetry[1] offsets 2 to 3" in note
    assert found.next_fetch_offset == 5


@pytest.mark.parametrize("codec", CODECS)
def test_what_fits_is_unfolded_as_it_was(codec):
    values = [bytes([i % 251]) * (i % 7_000) for i in range(900)]
    (taken,) = everything(reader(batch(0, values, CODECS[codec])))
    assert [r.value for r in taken] == values
    assert taken[5][:2] == (5, 1_005)
    assert taken[5].key == b"k"


@pytest.mark.parametrize("codec", CODECS)
def test_a_torn_batch_is_noted_too(codec):
    made = batch(0, [bytes(range(256)) * 40] * 20, CODECS[codec])
    del made[-30:]
    struct.pack_into(">i", made, 8, len(made) - 12)
    torn = signed(made)
    (taken,) = everything(reader(torn, batch(20, [b"next"])))
    assert [r.offset for r in taken] == [19, 20]
    assert taken[0].value.startswith(fetching.REFUSED_BATCH)


def test_a_wrong_checksum_is_raised_not_skipped():
    made = batch(0, [b"a"])
    made[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        reader(made).take(10, 10)


def test_a_fetch_that_begins_inside_a_batch():
    found = reader(batch(0, [b"a", b"b", b"c"]), fetch_offset=2)
    assert [r.offset for r in found.take(9, 9)] == [2]


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=9), min_size=1, max_size=6),
    st.integers(1, 12),
    st.integers(1, 60),
)
def test_taking_in_pieces_is_taking_all(shape, max_records, max_bytes):
    batches, base = [], 0
    for sizes in shape:
        batches.append(batch(base, [bytes(size) for size in sizes]))
        base += len(sizes)
    found = reader(*batches)
    pieces = everything(found, max_records, max_bytes)
    flat = [record for piece in pieces for record in piece]
    assert [record.offset for record in flat] == list(range(base))
    assert all(len(piece) <= max_records for piece in pieces)
    assert all(sum(len(r.value) for r in piece[:-1]) <= max_bytes for piece in pieces)
    assert found.next_fetch_offset == base


def test_one_fetch_of_many_full_batches_is_handed_over_in_bounded_pieces():
    full = [batch(i, [bytes(1 << 20)], CODECS["lz4"]) for i in range(12)]
    pieces = everything(reader(*full), max_bytes=3 << 20)
    assert max(sum(len(r.value) for r in piece) for piece in pieces) <= 4 << 20
    assert sum(map(len, pieces)) == 12
