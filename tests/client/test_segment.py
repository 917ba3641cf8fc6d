"""Segment: whatever happens to its bytes, every record that is whole is found, and what is not is counted."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tocsin import segment
from tocsin.encode import Batch

MACHINE = segment.machine_id("00112233-4455-6677-8899-aabbccddeeff")


def records(count: int, seed: int = 1) -> tuple[list[bytes], list[segment.Entry]]:
    chance = random.Random(seed)
    parts, entries, at = [], [], 0
    for number in range(count):
        batch = Batch(number, chance.randrange(1, 99), chance.randbytes(30), chance.randbytes(chance.randrange(1, 400)))
        data, entry = segment.record(batch, at, 10, 20, MACHINE)
        parts.append(data)
        entries.append(entry)
        at = entry.end
    return parts, entries


def sequences(data: bytes) -> list[int]:
    return [entry.sequence for entry in segment.scan(data).entries]


def test_what_is_written_is_found() -> None:
    parts, entries = records(20)
    found = segment.scan(b"".join(parts))
    assert [(e.at, e.size, e.rows, e.sequence) for e in found.entries] == [
        (e.at, e.size, e.rows, e.sequence) for e in entries
    ]
    assert (found.damaged, found.damaged_rows) == (0, 0)


def test_every_torn_end_leaves_the_records_before_it() -> None:
    parts, entries = records(4)
    data = b"".join(parts)
    for size in range(len(data) + 1):
        found = segment.scan(data[:size])
        whole = [entry.sequence for entry in entries if entry.end <= size]
        assert [entry.sequence for entry in found.entries] == whole
        assert found.damaged == (0 if size in {0, *(entry.end for entry in entries)} else 1)


def test_a_bit_flipped_anywhere_costs_one_record_and_is_counted() -> None:
    parts, entries = records(3)
    data = bytearray(b"".join(parts))
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        hit = next(entry for entry in entries if bit // 8 < entry.end)
        found = segment.scan(bytes(data))
        assert [e.sequence for e in found.entries] == [e.sequence for e in entries if e is not hit]
        assert found.damaged >= 1
        in_body = bit // 8 >= hit.at + segment.HEAD_BYTES
        assert found.damaged_rows == (hit.rows if in_body else 0)
        data[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("fill", [b"\0", b"\xff", segment.MAGIC])
def test_a_stretch_of_rubbish_is_skipped(fill: bytes) -> None:
    parts, _ = records(6)
    parts[2] = fill * (len(parts[2]) // len(fill))
    found = segment.scan(b"".join(parts))
    assert [entry.sequence for entry in found.entries] == [0, 1, 3, 4, 5]
    assert found.damaged == 1


@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    assert not segment.scan(data).entries
    list(segment.marks(data))


def test_a_body_that_changed_since_is_no_batch() -> None:
    parts, entries = records(1)
    body = bytearray(parts[0][segment.HEAD_BYTES :])
    assert segment.batch_of(entries[0], bytes(body), MACHINE) is not None
    body[3] ^= 1
    assert segment.batch_of(entries[0], bytes(body), MACHINE) is None
    assert segment.batch_of(entries[0], bytes(body[:-1]), MACHINE) is None


def test_a_batch_knows_whether_the_machine_started_anew() -> None:
    parts, (entry,) = records(1)
    body = parts[0][segment.HEAD_BYTES :]
    other = segment.machine_id("ff" * 16)
    batches = [segment.batch_of(entry, body, machine) for machine in (MACHINE, other, segment.UNKNOWN_MACHINE)]
    assert [batch is not None and batch.here for batch in batches] == [True, False, False]
    assert segment.machine_id("no id") == segment.machine_id("") == segment.UNKNOWN_MACHINE


def test_marks_that_are_torn_or_wrong_mark_nothing() -> None:
    data = bytearray(segment.mark(7) + segment.mark(8) + segment.mark(9))
    assert list(segment.marks(bytes(data))) == [7, 8, 9]
    data[segment.MARK_BYTES + 2] ^= 1
    assert list(segment.marks(bytes(data[:-1]))) == [7]
