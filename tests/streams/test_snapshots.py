"""Snapshots as records: laws over torn writes, zombies and compaction. The log is a list; a writer may die anywhere."""

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams import limits, snapshots
from streams.snapshots import Part, Snapshot, cut, decode, newest
from streams.statelog import Writer


def snapshot(epoch=1, fence=10, number=1, writer=7, data=b"state", partition=3) -> Snapshot:
    return Snapshot(partition, epoch, fence, number, writer, 1_000, data)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(snapshots, "PART_BYTES", 4)


def test_a_snapshot_is_cut_and_found_again():
    data = bytes(range(256)) * 5_000
    parts = cut(snapshot(data=data))
    assert [len(part.data) for part in parts] == [512 << 10, 512 << 10, len(data) - (1 << 20)]
    read = [decode(part.encode()) for part in reversed(parts)]
    assert newest(3, read) == snapshot(data=data)


def test_an_empty_state_is_a_snapshot_too():
    assert newest(3, cut(snapshot(data=b""))) == snapshot(data=b"")


def test_a_state_beyond_all_bounds_is_refused(monkeypatch):
    monkeypatch.setattr(snapshots, "PART_BYTES", 1)
    with pytest.raises(ValueError, match="the limit is"):
        cut(snapshot(data=bytes(limits.MAX_PARTS + 1)))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_part_with_one_wrong_byte_does_not_exist(place, flip):
    encoded = bytearray(cut(snapshot(data=b"some state"))[0].encode())
    encoded[place % len(encoded)] ^= flip
    assert decode(bytes(encoded)) is None


@given(st.integers(0, 200))
def test_a_part_cut_short_does_not_exist(length):
    encoded = cut(snapshot(data=b"some state"))[0].encode()
    assume(length < len(encoded))
    assert decode(encoded[:length]) is None


def test_a_part_of_another_partition_is_not_ours():
    assert newest(4, cut(snapshot(partition=3))) is None


def test_parts_of_two_snapshots_never_make_one(small_parts):
    old, new = cut(snapshot(number=1, data=b"oldstate")), cut(snapshot(number=2, data=b"newstate"))
    assert newest(3, [old[0], new[1]]) is None
    longer = cut(snapshot(number=1, data=b"oldstate, longer"))
    assert newest(3, [longer[0], old[1]]) is None


def test_epoch_before_fence_before_number():
    def best(*found: Snapshot) -> Snapshot | None:
        return newest(3, [part for one in found for part in cut(one)])

    later_owner, zombie = snapshot(epoch=2, fence=5, writer=1), snapshot(epoch=1, fence=50, writer=2)
    assert best(zombie, later_owner) == later_owner
    assert best(snapshot(fence=5), snapshot(fence=6, writer=8)) == snapshot(fence=6, writer=8)
    assert best(snapshot(number=4), snapshot(number=5)) == snapshot(number=5)


# -- the log: writers take turns, die in mid-write, write on as zombies; compaction comes when it likes


@dataclasses.dataclass
class Log:
    """A compacted topic: what compaction would keep, and what it may keep for a while."""

    entries: list[tuple[bytes, bytes | None]] = dataclasses.field(default_factory=list)

    def append(self, key: bytes, value: bytes | None) -> int:
        self.entries.append((key, value))
        return len(self.entries) - 1

    def read(self, start: int = 0) -> tuple[list[Part], list[bytes]]:
        kept: dict[bytes, bytes | None] = {}
        for key, value in self.entries[start:]:
            kept.pop(key, None)
            if value is not None:
                kept[key] = value
        parts = [decode(value) for value in kept.values() if value is not None]
        return [part for part in parts if part is not None], list(kept)


class Owner:
    """A worker's side: loads, writes, may be torn."""

    def __init__(self, log: Log, pointer: list[int]) -> None:
        self.log, self.pointer = log, pointer
        parts, keys = log.read(pointer[0])
        found = newest(0, parts)
        if found is None:
            parts, keys = log.read()
            found = newest(0, parts)
        self.found = found
        self.fence = found.fence if found else -1
        self.writer = Writer("state", 0, found.epoch + 1 if found else 0, found.number if found else 0, keys)

    def write(self, data: bytes, torn_after: int | None) -> bool:
        """Whether the snapshot was written whole."""
        self.fence += 1
        records = self.writer.records(self.fence, data, 0)
        begin = -1
        for index, record in enumerate(records):
            if torn_after is not None and index >= torn_after:
                return False
            at = self.log.append(record.key, record.value)
            begin = at if begin < 0 else begin
        stale, readable_from = self.writer.written(begin)
        for record in stale:
            self.log.append(record.key, record.value)
        if readable_from is not None:
            self.pointer[0] = readable_from
        return True


writes = st.tuples(st.integers(0, 14), st.one_of(st.none(), st.integers(0, 3)))  # (length of the state, torn after)


@given(st.lists(st.lists(writes, max_size=6), min_size=1, max_size=6))
def test_whoever_dies_anywhere_the_last_whole_snapshot_is_restored(lives):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "PART_BYTES", 4)
        log, pointer = Log(), [0]
        expected: tuple[int, bytes] | None = None
        for life, one in enumerate(lives):
            owner = Owner(log, pointer)
            assert (None if owner.found is None else (owner.found.fence, owner.found.data)) == expected
            for count, (length, torn_after) in enumerate(one):
                data = bytes([life, count]) * length
                if not owner.write(data, torn_after):
                    break
                expected = (owner.fence, data)


@given(st.lists(st.tuples(st.booleans(), writes), max_size=20))
def test_a_zombie_never_takes_the_state_back(turns):
    """Owner b took over from a, which does not know; whatever a still writes, b's first whole snapshot rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "PART_BYTES", 4)
        log, pointer = Log(), [0]
        zombie = Owner(log, pointer)
        zombie.write(b"before", None)
        owner = Owner(log, pointer)
        last, zombie_lives = None, True
        for from_zombie, (length, torn_after) in turns:
            if from_zombie:  # whoever fails to write ends: nobody writes on over a torn snapshot
                zombie_lives = zombie_lives and zombie.write(b"z" * length, torn_after)
            elif owner.write(b"o" * length, torn_after):
                last = b"o" * length
            else:
                break
        found = newest(0, log.read()[0])
        assert found is not None
        if last is not None:
            assert found.data == last
        else:
            assert set(found.data) <= set(b"before" + b"z")


@given(st.lists(st.integers(0, 14), min_size=3, max_size=12))
def test_an_undisturbed_owner_leaves_two_snapshots_and_nothing_else(lengths):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "PART_BYTES", 4)
        log, pointer = Log(), [0]
        first = Owner(log, pointer)
        first.write(b"something long of another writer", None)
        owner = Owner(log, pointer)
        for length in lengths:
            owner.write(bytes(length), None)
        _, keys = log.read()
        expected = [
            part.key for number in (len(lengths), len(lengths) - 1) for part in cut_like(owner, lengths, number)
        ]
        assert sorted(keys) == sorted(expected)
        assert sorted(log.read(pointer[0])[1]) == sorted(expected)  # the pointer misses none of them


def cut_like(owner: Owner, lengths: list[int], number: int) -> list[Part]:
    records = max(1, -(-lengths[number - 1] // 4))
    slot_number = owner.writer._number - (len(lengths) - number)
    return [Part(0, 0, 0, slot_number, owner.writer._writer, 0, i, records, b"") for i in range(records)]
