"""Cutting a fetch into chunks: bounded, in order, nothing lost, and the ranges that they claim join."""

from hypothesis import given
from hypothesis import strategies as st

from streams.chunk import BEGINS, Chunk, cut
from streams.records import EMPTY, Record, Records


def records(sizes: list[int], start: int = 10, step: int = 1) -> Records:
    return Records.of([Record(start + i * step, 1_000 + i, bytes(size), None) for i, size in enumerate(sizes)])


def begins(chunk: Chunk) -> int:
    return dict(chunk.headers)[BEGINS]


def test_one_chunk_where_everything_fits():
    found = records([3, 4, 5])
    (chunk,) = cut("t", 2, 8, found, 3, 12)
    assert list(chunk.value) == list(found)
    assert (chunk.topic, chunk.partition, chunk.offset, chunk.timestamp) == ("t", 2, 12, 1_002)
    assert (begins(chunk), chunk.serialized_value_size) == (8, 12)


def test_nothing_fetched_is_no_chunk():
    assert list(cut("t", 0, 5, EMPTY, 10, 10)) == []


def test_a_record_larger_than_a_chunk_travels_alone():
    chunks = list(cut("t", 0, 10, records([1, 500, 1]), 100, 50))
    assert [[len(r.value) for r in chunk.value] for chunk in chunks] == [[1], [500], [1]]


@given(
    st.lists(st.integers(0, 40), max_size=60),
    st.integers(1, 9),
    st.integers(1, 90),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_chunks_join_to_the_fetch_within_their_limits(sizes, max_records, max_bytes, step, hole):
    found = records(sizes, start=10 + hole, step=step)
    chunks = list(cut("t", 0, 10, found, max_records, max_bytes))
    assert [r for chunk in chunks for r in chunk.value] == list(found)
    expected = 10
    for chunk in chunks:
        assert len(chunk.value) <= max_records
        assert sum(len(r.value) for r in chunk.value) <= max_bytes or len(chunk.value) == 1
        assert begins(chunk) == expected
        assert chunk.offset == chunk.value[-1].offset
        expected = chunk.offset + 1
