"""Segments: what is whole is found, wherever the rest is wrong."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.segment import HEAD_BYTES, MAGIC, Kept, read, written

KEPT = st.builds(
    Kept, st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=200), st.integers(0, 5_000),
    st.integers(0, 2**53),
)  # fmt: skip


def some(count: int, seed: int = 1) -> list[Kept]:
    chance = random.Random(seed)
    return [
        Kept(b"car-%d" % number, b"fleet", chance.randbytes(chance.randrange(1, 300)), number, 1_000 + number)
        for number in range(count)
    ]


@given(st.lists(KEPT, max_size=8))
def test_what_is_written_is_read(records):
    found = read(b"".join(map(written, records)), last=True)
    assert (found.records, found.damaged) == (records, 0)


def test_a_file_cut_anywhere_gives_every_record_before_the_cut():
    records = some(6)
    data = b"".join(map(written, records))
    ends = [len(b"".join(map(written, records[: count + 1]))) for count in range(6)]
    for cut in range(len(data)):
        whole = sum(end <= cut for end in ends)
        found = read(data[:cut], last=True)
        assert found.records == records[:whole]
        assert found.damaged == (cut not in (0, *ends))
        assert found.end == cut


def test_a_part_leaves_what_it_does_not_hold_to_the_next():
    records = some(6)
    data = b"".join(map(written, records))
    for cut in range(HEAD_BYTES, len(data)):
        first = read(data[:cut], last=False)
        rest = read(data[first.end :], last=True)
        assert first.records + rest.records == records
        assert first.damaged + rest.damaged == 0


def test_any_byte_that_has_changed_costs_one_record():
    records = some(5)
    data = b"".join(map(written, records))
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x40
        found = read(bytes(changed), last=True)
        assert len(found.records) >= 4
        assert all(kept in records for kept in found.records)
        assert found.damaged >= 1


@given(st.binary(max_size=300), st.booleans())
def test_noise_holds_nothing_and_ends(noise, last):
    found = read(MAGIC + noise, last=last)
    assert found.records == []
    assert 0 <= found.end <= len(MAGIC) + len(noise)
