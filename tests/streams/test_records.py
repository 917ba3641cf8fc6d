"""Records: columns that read as a sequence of single records, sliced and joined."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records import EMPTY, Record, Records

ROWS = st.lists(st.tuples(st.binary(max_size=9), st.none() | st.binary(max_size=4)), max_size=12)


def single(rows, first: int = 3, step: int = 2) -> list[Record]:
    return [Record(first + step * i, 1_000 + i, value, key) for i, (value, key) in enumerate(rows)]


@given(ROWS, st.data())
def test_they_read_as_what_they_are_made_of(rows, data):
    made = single(rows)
    records = Records.of(made)
    assert (list(records), len(records)) == (made, len(made))
    assert [records[i] for i in range(len(made))] == made
    low, high = data.draw(st.integers(-13, 13)), data.draw(st.integers(-13, 13))
    assert list(records[low:high]) == made[low:high]
    assert records.size == sum(len(record.value) for record in made)
    assert [records.chunk.value(row) for row in range(len(made))] == [record.value for record in made]
    after = data.draw(st.integers(0, 30))
    assert list(records.after(after)) == [record for record in made if record.offset > after]
    for record in made:
        assert records.at(record.offset) == record


@given(st.lists(ROWS, max_size=5), st.data())
def test_parts_join_in_order(groups, data):
    parts, expected, first = [], [], 0
    for rows in groups:
        made = single(rows, first, 1)
        first += len(made)
        low = data.draw(st.integers(0, len(made)))
        parts.append(Records.of(made)[low:])
        expected += made[low:]
    joined = Records.joined(parts)
    assert list(joined) == expected
    assert len(parts) == 1 or len(joined.data) <= sum(len(r.value) + len(r.key or b"") for r in expected) + len(
        EMPTY.data
    )


def test_a_text_is_no_place():
    with pytest.raises(TypeError):
        Records.of([Record(0, 0, b"", None)])["__faust"]
